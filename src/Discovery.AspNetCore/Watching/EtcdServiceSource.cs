using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.AspNetCore.Watching;

/// <summary>The cluster that the application's client is connected to; the client is made when the first service is watched.</summary>
/// <param name="client">The client, which without endpoints cannot be made.</param>
/// <param name="cluster">The name of the cluster; null for the default one.</param>
/// <param name="hasEndpoints">Whether the settings have endpoints.</param>
internal sealed class EtcdServiceSource(Lazy<EtcdClient> client, string? cluster, Func<bool> hasEndpoints) : IServiceSource
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static (byte[] b) => b, static b => b);

    /// <summary>The cheapest question there is, which one member answers alone. It has no fields, and its answer is not looked at.</summary>
    private static readonly Method<byte[], byte[]> Status = new(MethodType.Unary, "etcdserverpb.Maintenance", "Status", Bytes, Bytes);

    public string? Cluster => cluster;

    /// <summary>Whether the client was disposed, or the application's services, that have it; and not something of whoever follows.</summary>
    public static bool IsDisposed(ObjectDisposedException exception)
        => exception.ObjectName == typeof(EtcdClient).FullName || exception.ObjectName == nameof(IServiceProvider);

    public IReadOnlyList<Uri> Endpoints => client.Value.Endpoints;

    public bool HasEndpoints => hasEndpoints();

    public EtcdOutage? Outage => client.Value.Outage;

    public Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => client.Value.ListAsync(prefix, consistency, cancellationToken);

    public Task<EtcdListing> ListAsync(
        string prefix, Action<IReadOnlyList<EtcdKeyValue>>? onPage, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => onPage is null
            ? client.Value.ListAsync(prefix, consistency, cancellationToken)
            : client.Value.ListInPagesAsync(prefix, onPage, consistency, cancellationToken);

    /// <summary>etcd takes 128 operations in one request unless it runs with --max-txn-ops.</summary>
    public int MostListsTogether => 100;

    public Task<IReadOnlyList<EtcdListing>> ListTogetherAsync(
        IReadOnlyList<string> prefixes, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => client.Value.ListManyAsync(prefixes, consistency, cancellationToken);

    public async Task<EtcdException?> FindFailureAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            var options = new CallOptions(deadline: DateTime.UtcNow + limit, cancellationToken: cancellationToken);
            using var call = client.Value.CreateCallInvoker().AsyncUnaryCall(Status, host: null, options, []);
            await call.ResponseAsync.ConfigureAwait(false);
            return null;
        }
        catch (RpcException e)
        {
            // Without an attempt that failed, all that is known is that it takes long. An etcd that keeps its status to the role root did answer.
            return e is EtcdException { Endpoints.Count: > 0, Reason: not EtcdErrorReason.PermissionDenied } failure ? failure : null;
        }
    }

    public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId)
        => new WatchOfClient(client.Value.Watch(prefix, startRevision, clusterId));

    public IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(string prefix, EtcdFollowOptions options, CancellationToken cancellationToken)
        => client.Value.FollowAsync(prefix, options, cancellationToken);

    private sealed class WatchOfClient(EtcdWatch watch) : IServiceWatch
    {
        public IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync(CancellationToken cancellationToken) => watch.ReadAllAsync(cancellationToken);

        public void Restart(long startRevision, ulong clusterId) => watch.Restart(startRevision, clusterId);

        public ValueTask DisposeAsync() => watch.DisposeAsync();
    }
}
