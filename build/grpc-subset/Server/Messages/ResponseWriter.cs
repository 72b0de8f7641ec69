using System.IO.Pipelines;
using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>Writes messages into the body of a response.</summary>
internal sealed class ResponseWriter<T>(ServerCall call, Action<T, SerializationContext> serialize)
    where T : class
{
    private readonly PipeWriter _body = call.HttpContext.Response.BodyWriter;

    public async Task WriteAsync(T message, bool flush, CancellationToken cancellationToken)
    {
        // Headers must be gone before the body can be written in place.
        if (!call.HttpContext.Response.HasStarted)
        {
            await call.HttpContext.Response.StartAsync(cancellationToken);
        }

        serialize(message, new ResponseMessage(_body, call.Options.MaxSendMessageSize));
        if (flush)
        {
            var result = await _body.FlushAsync(cancellationToken);
            if (!result.IsCompleted && (call.CancellationToken.IsCancellationRequested || cancellationToken.IsCancellationRequested))
            {
                throw new OperationCanceledException("Request aborted while sending the message.");
            }
        }
    }
}
