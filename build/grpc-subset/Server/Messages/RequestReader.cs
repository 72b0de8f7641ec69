using System.Buffers;
using System.IO.Pipelines;
using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>Reads messages from the body of a request.</summary>
internal sealed class RequestReader<T>(ServerCall call, Func<DeserializationContext, T> deserialize)
    where T : class
{
    private static readonly Status Incomplete = new(StatusCode.Internal, "Incomplete message.");
    private static readonly Status Additional = new(StatusCode.Internal, "Additional data after the message received.");

    private readonly PipeReader _body = call.HttpContext.Request.BodyReader;

    /// <summary>Reads the only message of a request.</summary>
    /// <exception cref="RpcException">There is none, or more than one.</exception>
    public async ValueTask<T> ReadSingleAsync()
    {
        var message = await ReadAsync(CancellationToken.None) ?? throw new RpcException(Incomplete);
        ReadResult rest;
        do
        {
            rest = await _body.ReadAsync();
            if (!rest.Buffer.IsEmpty)
            {
                throw new RpcException(Additional);
            }

            _body.AdvanceTo(rest.Buffer.Start);
        }
        while (!rest.IsCompleted);

        return message;
    }

    /// <summary>Reads the next message; null at the end of the body.</summary>
    public async ValueTask<T?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await _body.ReadAsync(cancellationToken);
            var rest = result.Buffer;
            T? message = null;
            try
            {
                message = TryRead(ref rest);
            }
            finally
            {
                // Without a whole message everything counts as seen, so that the next read waits for more.
                _body.AdvanceTo(rest.Start, message is null ? rest.End : rest.Start);
            }

            if (message is not null)
            {
                return message;
            }

            if (result.IsCompleted)
            {
                return rest.IsEmpty ? null : throw new RpcException(Incomplete);
            }
        }
    }

    private T? TryRead(ref ReadOnlySequence<byte> buffer)
    {
        if (buffer.Length < MessageFrame.Size)
        {
            return null;
        }

        Span<byte> bytes = stackalloc byte[MessageFrame.Size];
        buffer.Slice(0, MessageFrame.Size).CopyTo(bytes);
        var frame = MessageFrame.Read(bytes);
        if (frame.Length > int.MaxValue)
        {
            throw new IOException($"Message too large: {frame.Length}");
        }

        if (frame.Length > call.Options.MaxReceiveMessageSize)
        {
            throw new RpcException(MessageErrors.ReceivedTooLarge);
        }

        if (buffer.Length < MessageFrame.Size + frame.Length)
        {
            return null;
        }

        if (frame.Compressed)
        {
            throw new RpcException(RefuseCompressed());
        }

        var payload = buffer.Slice(MessageFrame.Size, frame.Length);
        buffer = buffer.Slice(payload.End);
        return deserialize(new MessagePayload(payload));
    }

    private Status RefuseCompressed()
    {
        var encoding = call.HttpContext.Request.Headers[GrpcHeaders.Encoding];
        var status = MessageErrors.Compressed(encoding);
        if (status.StatusCode == StatusCode.Unimplemented && !call.HttpContext.Response.HasStarted)
        {
            // So that the client can try again with what is understood.
            call.HttpContext.Response.Headers[GrpcHeaders.AcceptEncoding] = GrpcHeaders.Identity;
        }

        return status;
    }
}
