using Discovery.EmbeddedEtcd.Contract;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Logging;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>What stands around every call: planned faults, etcd's limit of a message, and the status of a call that failed.</summary>
internal sealed partial class CallInterceptor(FaultPlan faults, ILogger<EmbeddedEtcdServer> logger, CancellationToken stopping) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        ThrowPlannedFault(context);
        var size = ((IMessage)request).CalculateSize();
        if (size > RequestLimits.MaxMessageSize)
        {
            throw ServerErrors.MessageTooLarge(size);
        }

        try
        {
            return await continuation(request, context).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw Failed(e, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        ThrowPlannedFault(context);
        try
        {
            await continuation(requestStream, responseStream, context).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw Failed(e, context);
        }
    }

    private void ThrowPlannedFault(ServerCallContext context)
    {
        if (faults.Take(context.Method) is { } fault)
        {
            throw fault;
        }
    }

    private RpcException Failed(Exception exception, ServerCallContext context)
    {
        if (context.CancellationToken.IsCancellationRequested || exception is IOException)
        {
            // The client is gone, or its deadline has passed: nobody reads the status.
            return new RpcException(Status.DefaultCancelled);
        }

        if (exception is OperationCanceledException && stopping.IsCancellationRequested)
        {
            return ServerErrors.Stopped();
        }

        Log.CallFailed(logger, exception, context.Method);
        return ServerErrors.Defect(exception);
    }

    private static partial class Log
    {
        [LoggerMessage(3001, LogLevel.Error, "The embedded etcd failed in {Method}: a defect, please report it")]
        public static partial void CallFailed(ILogger logger, Exception exception, string method);
    }
}
