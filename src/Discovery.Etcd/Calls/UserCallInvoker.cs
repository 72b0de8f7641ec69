using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>What users' own stubs of etcd's services call through; see <see cref="EtcdClient.CreateCallInvoker"/>.</summary>
internal sealed class UserCallInvoker(Failover failover, TokenSource tokens) : CallInvoker
{
    // What timers take.
    private static readonly TimeSpan LongestLimit = TimeSpan.FromDays(40);

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var operation = new Operation
        {
            Name = method.Name,
            Tokens = tokens,
            IsRepeatable = RepeatableMethods.Contains(method),
            Limit = TimeLeft(options.Deadline),
        };
        return new UserCall<TResponse>(
            (attempt, onAnswered) => new AttemptInvoker(attempt).CallAsync(method, request, WithoutLimits(options), onAnswered),
            (runAsync, cancellationToken) => failover.RunAsync(operation, runAsync, cancellationToken),
            options.CancellationToken).ToAsyncUnaryCall();
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        AsyncUnaryCall(method, host, options, request).ResponseAsync.GetAwaiter().GetResult();

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var stream = new UserStream(failover, tokens, options);
        var call = stream.Invoker.AsyncServerStreamingCall(method, null, stream.Options, request);
        stream.Observe(call.ResponseHeadersAsync);
        return new AsyncServerStreamingCall<TResponse>(
            stream.Track(call.ResponseStream), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, () => stream.Dispose(call));
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var stream = new UserStream(failover, tokens, options);
        var call = stream.Invoker.AsyncClientStreamingCall(method, null, stream.Options);
        stream.Observe(call.ResponseAsync, isEnd: true);
        return new AsyncClientStreamingCall<TRequest, TResponse>(
            call.RequestStream, call.ResponseAsync, call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, () => stream.Dispose(call));
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var stream = new UserStream(failover, tokens, options);
        var call = stream.Invoker.AsyncDuplexStreamingCall(method, null, stream.Options);
        stream.Observe(call.ResponseHeadersAsync);
        return new AsyncDuplexStreamingCall<TRequest, TResponse>(
            call.RequestStream, stream.Track(call.ResponseStream), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, () => stream.Dispose(call));
    }

    // The failover keeps to the deadline, over all attempts and on our clock.
    private static CallOptions WithoutLimits(CallOptions options) =>
        new(options.Headers, deadline: null, CancellationToken.None, options.WriteOptions, propagationToken: null, options.Credentials);

    private TimeSpan? TimeLeft(DateTime? deadline)
    {
        if (deadline is not { } at || at == DateTime.MaxValue)
        {
            return null;
        }

        var left = at.ToUniversalTime() - failover.Time.GetUtcNow().UtcDateTime;
        return left < TimeSpan.Zero ? TimeSpan.Zero : left < LongestLimit ? left : LongestLimit;
    }
}
