using System.Buffers;
using System.IO.Pipelines;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>Serializes one message right into the body, for its length is known before its bytes.</summary>
internal sealed class ResponseMessage(PipeWriter body, int? maxMessageSize) : SerializationContext
{
    private int? _length;

    public override void SetPayloadLength(int payloadLength) => _length = payloadLength;

    public override IBufferWriter<byte> GetBufferWriter()
    {
        WriteFrame(_length ?? throw new InvalidOperationException("The length of a message must be set before its bytes are written."));
        return body;
    }

    public override void Complete()
    {
    }

    public override void Complete(byte[] payload)
    {
        WriteFrame(payload.Length);
        body.Write(payload);
    }

    private void WriteFrame(int length)
    {
        if (length > maxMessageSize)
        {
            throw new RpcException(MessageErrors.SentTooLarge);
        }

        MessageFrame.Write(body.GetSpan(MessageFrame.Size), length);
        body.Advance(MessageFrame.Size);
    }
}
