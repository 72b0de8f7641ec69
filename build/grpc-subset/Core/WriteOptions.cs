namespace Grpc.Core;

/// <summary>Flags of a message write.</summary>
[Flags]
public enum WriteFlags
{
    /// <summary>The server need not flush after this message.</summary>
    BufferHint = 0x1,
}

/// <summary>How messages are written.</summary>
public class WriteOptions(WriteFlags flags = default)
{
    /// <summary>The flags.</summary>
    public WriteFlags Flags { get; } = flags;
}
