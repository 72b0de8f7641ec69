using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>The cluster that the application's client is connected to; the client is made when the first service is watched.</summary>
internal sealed class EtcdServiceSource(Lazy<EtcdClient> client) : IServiceSource
{
    public IReadOnlyList<Uri> Endpoints => client.Value.Endpoints;

    public Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => client.Value.ListAsync(prefix, consistency, cancellationToken);

    public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId)
        => new WatchOfClient(client.Value.Watch(prefix, startRevision, clusterId));

    private sealed class WatchOfClient(EtcdWatch watch) : IServiceWatch
    {
        public IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync(CancellationToken cancellationToken) => watch.ReadAllAsync(cancellationToken);

        public void Restart(long startRevision, ulong clusterId) => watch.Restart(startRevision, clusterId);

        public ValueTask DisposeAsync() => watch.DisposeAsync();
    }
}
