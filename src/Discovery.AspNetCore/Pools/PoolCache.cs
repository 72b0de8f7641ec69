using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd.Connections;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Pools;

/// <summary>All pools of the process: one for each service of each cluster, and one for each client that is customised.</summary>
internal sealed class PoolCache(
    ClientCatalog clients,
    IServiceDirectory directory,
    PolicyCatalog policies,
    DiscoverySettings settings,
    IOptionsMonitorCache<EtcdDiscoveryOptions> cache,
    IConfiguration configuration,
    IServiceSource source,
    ClusterCatalog clusters,
    IServiceProvider services,
    [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time,
    DiscoveryMetrics metrics,
    HostResolver resolver,
    IMeterFactory? meters = null) : IDisposable
{
    private readonly ConcurrentDictionary<PoolKey, Lazy<ServicePool>> _pools = new();
    private readonly ConcurrentBag<SubscribedService> _subscribed = [];
    private IDisposable? _reload;

    /// <summary>The pools that calls were made by, or are ready for calls, with the names of their options.</summary>
    public IEnumerable<(string OptionsName, ServicePool Pool)> All
        => _pools.Where(static p => p.Value.IsValueCreated).Select(static p => (p.Key.OptionsName, p.Value.Value));

    /// <summary>The pool of a registered client.</summary>
    public ServicePool OfClient(string clientName)
    {
        var client = clients.Find(clientName)
            ?? throw new InvalidOperationException($"The client '{clientName}' does not discover a service; call AddEtcdDiscovery on its builder.");
        return Get(new PoolKey(client.OptionsName), client.ServiceName, client.Transport);
    }

    /// <summary>The pool that the clients of a service share.</summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="cluster">The cluster; null for the one that the service's settings name.</param>
    public ServicePool OfService(string serviceName, Cluster? cluster = null) => Get(new PoolKey(serviceName, cluster), serviceName, []);

    /// <summary>Follows changes of the configuration, from now on.</summary>
    public void FollowConfiguration() => _reload ??= ChangeToken.OnChange(configuration.GetReloadToken, Reload);

    public void Dispose()
    {
        _reload?.Dispose();
        foreach (var service in _subscribed)
        {
            // Its loop ends by itself; nobody waits for it.
            _ = service.DisposeAsync().AsTask();
        }

        // One that could not be made, for wrong settings, would say so again.
        foreach (var pool in _pools.Values.Where(static p => p.IsValueCreated))
        {
            pool.Value.Dispose();
        }
    }

    /// <summary>
    /// Calls go by the directory of the container, so an application that replaces it decides where they go. That of this library also
    /// knows layouts and instances that code sets for one client.
    /// </summary>
    private IWatchedService GetService(string serviceName, Cluster cluster, EtcdDiscoveryOptions poolOptions)
    {
        var ofCluster = cluster.Name is null ? directory : cluster.GetService<IServiceDirectory>(services);
        if (ofCluster is DirectoryRouter router)
        {
            ofCluster = router.Of(cluster);
        }

        if (ofCluster is ServiceDirectory own)
        {
            return own.Get(serviceName, poolOptions);
        }

        var service = new SubscribedService(
            ofCluster, serviceName, time, cluster.GetService<ILogger<IServiceDirectory>>(services));
        _subscribed.Add(service);
        return service;
    }

    private void Reload()
    {
        foreach (var (key, pool) in _pools.Where(static p => p.Value.IsValueCreated))
        {
            settings.Follow(
                key.OptionsName,
                key.Cluster,
                pool.Value.ServiceName,
                pool.Value.Options,
                changed => pool.Value.Apply(changed, policies.Get(changed.Policy, "Etcd:Discovery:Policy")));
        }
    }

    private ServicePool Get(PoolKey poolKey, string serviceName, IReadOnlyList<Action<SocketsHttpHandler>> transport)
    {
        var pool = _pools.GetOrAdd(poolKey, key => new Lazy<ServicePool>(() =>
        {
            var poolOptions = OptionsOf(key, serviceName);
            var cluster = clusters.Get(poolOptions.Cluster);
            var logger = cluster.GetService<ILogger<InstanceState>>(services);
            var service = GetService(serviceName, cluster, poolOptions);

            // What the settings or the application's own directory say is not another's word.
            var isLocal = service is not (ServiceWatcher or CombinedService) || SourceOf(cluster).Endpoints.Any(LoopbackHost.Is);
            var filter = new AddressFilter(poolOptions, isLocal);
            var measured = metrics.Of(serviceName, cluster.Name, client: key.OptionsName == serviceName ? null : key.OptionsName);
            var created = new ServicePool(
                serviceName,
                poolOptions,
                service,
                policies.Get(poolOptions.Policy, "Etcd:Discovery:Policy"),
                filter,
                new TransportFactory(poolOptions, filter, transport, time, logger, meters, measured) { Resolver = resolver },
                time,
                logger,
                metrics: measured);
            metrics.Observed.AddPool(() => created.Count(measured.Tags));
            return created;
        }));
        try
        {
            return pool.Value;
        }
        catch
        {
            // Or a setting that was wrong at the first use would stay wrong until a restart.
            cache.TryRemove(poolKey.OptionsName);
            _pools.TryRemove(new KeyValuePair<PoolKey, Lazy<ServicePool>>(poolKey, pool));
            throw;
        }
    }

    /// <summary>In another cluster than its settings may name, a service has options of its own.</summary>
    private EtcdDiscoveryOptions OptionsOf(PoolKey key, string serviceName)
        => key.Cluster is null ? settings.Get(key.OptionsName, serviceName) : settings.Create(key.OptionsName, key.Cluster);

    private IServiceSource SourceOf(Cluster cluster) => cluster.Name is null ? source : cluster.GetService<IServiceSource>(services);

    /// <summary>What pools are told apart by.</summary>
    /// <param name="OptionsName">The name of the options.</param>
    /// <param name="Cluster">The cluster, where it is not the one that the options name.</param>
    private readonly record struct PoolKey(string OptionsName, Cluster? Cluster = null);
}
