using System.Buffers;

namespace Grpc.Core;

/// <summary>Gives the bytes of one message, valid only while it is being read.</summary>
public abstract class DeserializationContext
{
    /// <summary>A copy of the bytes.</summary>
    public virtual byte[] PayloadAsNewBuffer() => throw new NotImplementedException();

    /// <summary>The bytes where they lie.</summary>
    public virtual ReadOnlySequence<byte> PayloadAsReadOnlySequence() => throw new NotImplementedException();
}
