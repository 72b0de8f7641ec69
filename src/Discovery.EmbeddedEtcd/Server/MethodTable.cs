using Discovery.EmbeddedEtcd.Cluster;
using Discovery.EmbeddedEtcd.KeyValues;
using Discovery.EmbeddedEtcd.Leases;
using Discovery.EmbeddedEtcd.Watches;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>The methods that the server answers, by the path of their calls.</summary>
internal sealed class MethodTable
{
    private readonly Dictionary<string, Func<GrpcCall, CancellationToken, Task>> _methods = new(StringComparer.Ordinal);

    public MethodTable(EtcdEngine engine, string endpoint, TimeSpan progressInterval)
    {
        var kv = new KeyValueService(engine);
        Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, kv.Range);
        Unary("/etcdserverpb.KV/Put", PutRequest.Parser, kv.Put);
        Unary("/etcdserverpb.KV/DeleteRange", DeleteRangeRequest.Parser, kv.DeleteRange);
        Unary("/etcdserverpb.KV/Txn", TxnRequest.Parser, kv.Txn);
        Unary("/etcdserverpb.KV/Compact", CompactionRequest.Parser, kv.Compact);

        var lease = new LeaseService(engine);
        Unary("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest.Parser, lease.Grant);
        Unary("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest.Parser, lease.Revoke);
        Unary("/etcdserverpb.Lease/LeaseTimeToLive", LeaseTimeToLiveRequest.Parser, lease.TimeToLive);
        Unary("/etcdserverpb.Lease/LeaseLeases", LeaseLeasesRequest.Parser, lease.List);
        Streaming("/etcdserverpb.Lease/LeaseKeepAlive", lease.KeepAliveAsync);

        Streaming("/etcdserverpb.Watch/Watch", new WatchService(engine, progressInterval).WatchAsync);

        var cluster = new ClusterService(engine, endpoint);
        Unary("/etcdserverpb.Cluster/MemberList", MemberListRequest.Parser, cluster.MemberList);
        Unary("/etcdserverpb.Maintenance/Status", StatusRequest.Parser, cluster.Status);
        Unary("/etcdserverpb.Auth/Authenticate", AuthenticateRequest.Parser, ClusterService.Authenticate);
    }

    /// <param name="path">The path of the call.</param>
    /// <param name="call">The call.</param>
    /// <param name="stopping">Ends streams.</param>
    /// <exception cref="RpcException">The server does not support the method.</exception>
    public Task InvokeAsync(string path, GrpcCall call, CancellationToken stopping)
        => _methods.TryGetValue(path, out var method)
            ? method(call, stopping)
            : throw EtcdErrors.NotSupported(path.TrimStart('/'));

    private void Unary<TRequest, TResponse>(string path, MessageParser<TRequest> parser, Func<TRequest, TResponse> handler)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => _methods.Add(path, async (call, _) =>
        {
            // Nothing waits but the read, and that ends when the client goes away: no token is needed, and none is made.
            var request = await call.ReadSingleAsync(parser, CancellationToken.None);
            call.Write(handler(request));
        });

    private void Streaming(string path, Func<GrpcCall, CancellationToken, Task> handler)
        => _methods.Add(path, async (call, stopping) =>
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(call.Aborted, stopping);
            await handler(call, ending.Token);
        });
}
