using Discovery.Etcd.Calls;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>etcd's API as it is on the wire, one call at a time, without retries.</summary>
internal sealed class RawClient : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly GrpcChannel _channel;
    private readonly CallInvoker _invoker;

    public RawClient(string endpoint, SocketsHttpHandler? handler = null)
    {
        handler ??= new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null };
        _channel = GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = null,
            MaxSendMessageSize = null,
        });
        _invoker = _channel.CreateCallInvoker();
    }

    public async Task<TResponse> CallAsync<TRequest, TResponse>(Method<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken = default)
        where TRequest : class
        where TResponse : class
        => await _invoker.AsyncUnaryCall(method, null, new CallOptions(cancellationToken: cancellationToken), request).ResponseAsync.WaitAsync(Limit, cancellationToken);

    public Task<RangeResponse> RangeAsync(RangeRequest request) => CallAsync(EtcdMethods.Range, request);

    public Task<RangeResponse> GetAsync(string key) => RangeAsync(new RangeRequest { Key = key.Bytes() });

    public Task<PutResponse> PutAsync(string key, string value, long lease = 0)
        => CallAsync(EtcdMethods.Put, new PutRequest { Key = key.Bytes(), Value = value.Bytes(), Lease = lease });

    public Task<DeleteRangeResponse> DeleteAsync(string key) => CallAsync(EtcdMethods.DeleteRange, new DeleteRangeRequest { Key = key.Bytes() });

    public Task<TxnResponse> TxnAsync(TxnRequest request) => CallAsync(EtcdMethods.Txn, request);

    public Task CompactAsync(long revision) => CallAsync(EtcdMethods.Compact, new CompactionRequest { Revision = revision, Physical = true });

    public Task<LeaseGrantResponse> GrantAsync(long ttl, long id = 0) => CallAsync(EtcdMethods.LeaseGrant, new LeaseGrantRequest { TTL = ttl, ID = id });

    public Task RevokeAsync(long id) => CallAsync(EtcdMethods.LeaseRevoke, new LeaseRevokeRequest { ID = id });

    public Task<LeaseTimeToLiveResponse> TimeToLiveAsync(long id, bool keys = false)
        => CallAsync(EtcdMethods.LeaseTimeToLive, new LeaseTimeToLiveRequest { ID = id, Keys = keys });

    public WatchCall Watch() => new(new DuplexCall<WatchRequest, WatchResponse>(new Watch.WatchClient(_invoker).Watch()));

    public KeepAliveCall KeepAlive()
        => new(new DuplexCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(new Lease.LeaseClient(_invoker).LeaseKeepAlive()));

    /// <summary>Makes a call that has to fail, and returns how.</summary>
    public static async Task<(StatusCode Code, string Detail)> FailureOfAsync(Task call)
    {
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => call);
        return failure switch
        {
            RpcException e => (e.StatusCode, e.Status.Detail),
            CallFailedException e => (e.Code, e.Detail),
            _ => throw failure,
        };
    }

    public void Dispose() => _channel.Dispose();
}
