using Discovery.Etcd.Auth;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>
/// What our own stubs call through: each call is tried at one endpoint after another and, except for the one that fetches it, with the auth
/// token. All that is called this way is safe to be sent twice.
/// </summary>
internal sealed class EtcdCallInvoker(Failover failover, TokenSource? tokens) : UnaryCallInvoker
{
    /// <exception cref="EtcdException">It failed everywhere, or etcd refused.</exception>
    protected override Task<TResponse> CallAsync<TRequest, TResponse>(Method<TRequest, TResponse> method, TRequest request, CallOptions options) =>
        failover.Measure(
            method.Name,
            failover.StartMeasuring(),
            FirstAttempt<TRequest, TResponse>.TryMake(failover, tokens, method, request, options.CancellationToken)?.RunAsync()
                ?? RunAsync(method, request, options.CancellationToken));

    private Task<TResponse> RunAsync<TRequest, TResponse>(Method<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
        where TRequest : class
        where TResponse : class =>
        failover.RunUnmeasuredAsync(
            new Operation { Name = method.Name, Tokens = tokens },
            attempt => new AttemptInvoker(attempt).CallAsync(method, request, default, onAnswered: null),
            cancellationToken);
}
