using System.Buffers;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.Net.Client.Requests;

/// <summary>Serializes one message behind its frame, so that both leave in one write.</summary>
internal sealed class RequestMessage(int? maxMessageSize) : SerializationContext, IBufferWriter<byte>, IDisposable
{
    private const int MinimumFree = 256;

    private byte[] _buffer = [];
    private int _written = MessageFrame.Size;

    private bool _completed;

    public ReadOnlyMemory<byte> Frame
        => _completed ? _buffer.AsMemory(0, _written) : throw new InvalidOperationException("Serialization did not return a payload.");

    public override void SetPayloadLength(int payloadLength)
    {
        Check(payloadLength);
        Reserve(payloadLength);
    }

    public override IBufferWriter<byte> GetBufferWriter() => this;

    public override void Complete()
    {
        if (_completed)
        {
            throw new InvalidOperationException("The message is complete already.");
        }

        _completed = true;
        var length = _written - MessageFrame.Size;
        Check(length);
        Reserve(0);
        MessageFrame.Write(_buffer, length);
    }

    public override void Complete(byte[] payload)
    {
        SetPayloadLength(payload.Length);
        payload.CopyTo(_buffer, MessageFrame.Size);
        _written += payload.Length;
        Complete();
    }

    public void Advance(int count) => _written += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _buffer.AsMemory(_written);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private void Check(int length)
    {
        if (length > maxMessageSize)
        {
            throw new RpcException(MessageErrors.SentTooLarge);
        }
    }

    private void Reserve(int free)
    {
        if (_buffer.Length - _written >= free && _buffer.Length > 0)
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_written + free, Math.Max(_buffer.Length * 2, MinimumFree)));
        _buffer.AsSpan(0, Math.Min(_written, _buffer.Length)).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
