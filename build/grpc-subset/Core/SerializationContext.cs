using System.Buffers;

namespace Grpc.Core;

/// <summary>Takes the bytes of one message.</summary>
public abstract class SerializationContext
{
    /// <summary>Announces how many bytes follow.</summary>
    public abstract void SetPayloadLength(int payloadLength);

    /// <summary>Gets the writer for the bytes; end with <see cref="Complete()"/>.</summary>
    public abstract IBufferWriter<byte> GetBufferWriter();

    /// <summary>Ends a message that went through <see cref="GetBufferWriter"/>.</summary>
    public abstract void Complete();

    /// <summary>Gives the whole message at once.</summary>
    public abstract void Complete(byte[] payload);
}
