using Discovery.Etcd.Auth;
using Discovery.Etcd.Transport;
using Google.Protobuf;

namespace Discovery.Etcd.Connections;

/// <summary>Makes unary calls with failover and, except for the one that fetches it, with the auth token.</summary>
internal sealed class UnaryCaller(Failover failover, TokenSource? tokens)
{
    /// <summary>Calls a method.</summary>
    /// <exception cref="EtcdException">It failed everywhere, or etcd refused.</exception>
    public async Task<TResponse> CallAsync<TRequest, TResponse>(
        EtcdMethod<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
        where TRequest : IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => (await CallAnyAsync(method, request, cancellationToken)).Response;

    /// <summary>Calls a method and tells which endpoint answered.</summary>
    /// <exception cref="EtcdException">It failed everywhere, or etcd refused.</exception>
    public Task<(TResponse Response, EtcdEndpoint Endpoint)> CallAnyAsync<TRequest, TResponse>(
        EtcdMethod<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
        where TRequest : IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => failover.RunAsync(method.Name, tokens, attempt => CallOnceAsync(method, request, attempt), cancellationToken);

    private static async Task<(TResponse Response, EtcdEndpoint Endpoint)> CallOnceAsync<TRequest, TResponse>(
        EtcdMethod<TRequest, TResponse> method, TRequest request, Attempt attempt)
        where TRequest : IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
    {
        var endpoint = attempt.Endpoint;
        var connection = endpoint.Calls.Rent();
        try
        {
            var metadata = new GrpcMetadata(attempt.Token, timeout: attempt.TimeLeft);
            var response = await GrpcUnaryCall.InvokeAsync(
                connection.Invoker, endpoint.Address, method, request, metadata, attempt.Progress, attempt.CancellationToken);
            return (response, endpoint);
        }
        finally
        {
            endpoint.Calls.Return(connection, attempt.WasSilent);
        }
    }
}
