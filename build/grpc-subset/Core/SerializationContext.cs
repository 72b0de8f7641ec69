using System.Buffers;

namespace Grpc.Core;

/// <summary>Takes the bytes of one message.</summary>
public abstract class SerializationContext
{
    /// <summary>Announces how many bytes follow.</summary>
    public virtual void SetPayloadLength(int payloadLength) => throw new NotImplementedException();

    /// <summary>Gets the writer for the bytes; end with <see cref="Complete()"/>.</summary>
    public virtual IBufferWriter<byte> GetBufferWriter() => throw new NotImplementedException();

    /// <summary>Ends a message that went through <see cref="GetBufferWriter"/>.</summary>
    public virtual void Complete() => throw new NotImplementedException();

    /// <summary>Gives the whole message at once.</summary>
    public virtual void Complete(byte[] payload) => throw new NotImplementedException();
}
