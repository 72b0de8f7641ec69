using System.Net;
using Discovery.Etcd;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Transport;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>etcd's API as it is on the wire, one call at a time, without retries.</summary>
internal sealed class RawClient(string endpoint) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly Uri _address = new(endpoint);
    private readonly HttpMessageInvoker _invoker = new(new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null });

    public HttpMessageInvoker Invoker => _invoker;

    public async Task<TResponse> CallAsync<TRequest, TResponse>(EtcdMethod<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken = default)
        where TRequest : IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => await GrpcUnaryCall.InvokeAsync(_invoker, _address, method, request, default, null, cancellationToken).WaitAsync(Limit, cancellationToken);

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
        => CallAsync(MoreMethods.LeaseTimeToLive, new LeaseTimeToLiveRequest { ID = id, Keys = keys });

    public WatchCall Watch() => new(new GrpcDuplexCall<WatchRequest, WatchResponse>(_invoker, _address, EtcdMethods.Watch, default));

    public KeepAliveCall KeepAlive()
        => new(new GrpcDuplexCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(_invoker, _address, EtcdMethods.LeaseKeepAlive, default));

    /// <summary>Makes a call that has to fail, and returns how.</summary>
    public static async Task<(EtcdStatusCode Code, string Detail)> FailureOfAsync(Task call)
    {
        var failure = await Assert.ThrowsAsync<GrpcException>(() => call);
        return (failure.Code, failure.Detail);
    }

    public void Dispose() => _invoker.Dispose();
}
