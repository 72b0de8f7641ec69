using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Discovery.Etcd.DotnetEtcd;

/// <summary>
/// Makes calls that their caller cancelled, or whose own deadline passed, end with <see cref="OperationCanceledException"/>: that is what
/// dotnet-etcd's users get from its own channels, and what a <c>BackgroundService</c> may end with.
/// </summary>
internal sealed class CancellationInterceptor : Interceptor
{
    // The timer that ends a call may fire a moment before the wall clock shows its deadline.
    private static readonly TimeSpan TimerTolerance = TimeSpan.FromMilliseconds(100);

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, BlockingUnaryCallContinuation<TRequest, TResponse> continuation)
    {
        try
        {
            return continuation(request, context);
        }
        catch (RpcException e) when (WasCancelled(e, context.Options))
        {
            throw Cancelled(e, context.Options.CancellationToken);
        }
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
    {
        var call = continuation(request, context);
        return new(AwaitAsync(call.ResponseAsync, context.Options), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation)
    {
        var call = continuation(request, context);
        return new(new Reader<TResponse>(call.ResponseStream, context.Options), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation)
    {
        var call = continuation(context);
        return new(
            call.RequestStream, new Reader<TResponse>(call.ResponseStream, context.Options), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, call.Dispose);
    }

    private static async Task<T> AwaitAsync<T>(Task<T> response, CallOptions options, CancellationToken cancellationToken = default)
    {
        try
        {
            return await response.ConfigureAwait(false);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Cancelled && cancellationToken.IsCancellationRequested)
        {
            throw Cancelled(e, cancellationToken);
        }
        catch (RpcException e) when (WasCancelled(e, options))
        {
            throw Cancelled(e, options.CancellationToken);
        }
    }

    // A cancellation that the server sent is a failure like any other.
    private static bool WasCancelled(RpcException e, CallOptions options) => e.StatusCode switch
    {
        StatusCode.Cancelled => options.CancellationToken.IsCancellationRequested,
        StatusCode.DeadlineExceeded => options.Deadline is { } deadline && deadline.ToUniversalTime() <= DateTime.UtcNow + TimerTolerance,
        _ => false,
    };

    private static OperationCanceledException Cancelled(RpcException e, CancellationToken cancellationToken) => new(e.Message, e, cancellationToken);

    private sealed class Reader<T>(IAsyncStreamReader<T> responses, CallOptions options) : IAsyncStreamReader<T>
    {
        public T Current => responses.Current;

        public Task<bool> MoveNext(CancellationToken cancellationToken) => AwaitAsync(responses.MoveNext(cancellationToken), options, cancellationToken);
    }
}
