using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Watching;

/// <summary>The directory that applications get without a key: each service is looked for in the cluster that its settings name.</summary>
internal sealed class DirectoryRouter(
    ServiceDirectory ofDefault, ClusterCatalog clusters, IOptionsMonitor<EtcdDiscoveryOptions> options, IServiceProvider services) : IServiceDirectory
{
    public IReadOnlyCollection<ServiceStatus> Services => [.. clusters.All.SelectMany(c => Of(c).Services)];

    public ServiceSnapshot? GetSnapshot(string serviceName) => OfService(serviceName).GetSnapshot(serviceName);

    public ServiceStatus GetStatus(string serviceName) => OfService(serviceName).GetStatus(serviceName);

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => OfService(serviceName).WaitForReadyAsync(serviceName, cancellationToken);

    public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default)
        => OfService(serviceName).SubscribeAsync(serviceName, cancellationToken);

    public async ValueTask<ServiceListing> ListServicesAsync(CancellationToken cancellationToken = default)
        => MergedListings.Merge(
            await Task.WhenAll(clusters.All.Select(c => Of(c).ListServicesAsync(cancellationToken).AsTask())).ConfigureAwait(false));

    public IAsyncEnumerable<ServiceListing> WatchServicesAsync(CancellationToken cancellationToken = default)
        => clusters.Named.Count == 0
            ? ofDefault.WatchServicesAsync(cancellationToken)
            : MergedListings.WatchAsync([.. clusters.All.Select(Of)], cancellationToken);

    /// <summary>The directory of one cluster, which may be the application's own.</summary>
    public IServiceDirectory Of(Cluster cluster) => cluster.Name is null ? ofDefault : cluster.GetService<IServiceDirectory>(services);

    private IServiceDirectory OfService(string serviceName)
    {
        // A wrong name is the directory's to refuse; settings are not read for it.
        var cluster = Layouts.ServiceNames.GetProblem(serviceName) is null ? options.Get(serviceName).Cluster : null;
        return Of(clusters.Get(cluster));
    }
}
