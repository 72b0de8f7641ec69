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
        failover.RunAsync(
            new Operation { Name = method.Name, Tokens = tokens },
            async attempt => await new AttemptInvoker(attempt).AsyncUnaryCall(method, null, options, request).ConfigureAwait(false),
            options.CancellationToken);
}
