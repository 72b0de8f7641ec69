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

/// <summary>
/// All pools of the process: one for each service of each cluster, and one for each client that is customised. Those of registered clients are kept
/// for good, others while somebody calls them.
/// </summary>
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
    private readonly ConcurrentDictionary<PoolKey, Lazy<PoolEntry>> _pools = new();
    private readonly IdlePools _idle = new(time);
    private IDisposable? _reload;
    private volatile bool _disposed;

    /// <summary>Raised when the pool of a service is forgotten, with the cluster that it was asked for in: handlers must be quick and not throw.</summary>
    public event Action<string, Cluster?>? Forgotten;

    /// <summary>The pools that calls were made by, or are ready for calls, with the names of their options.</summary>
    public IEnumerable<(string OptionsName, ServicePool Pool)> All
        => Created.Select(static p => (p.Key.OptionsName, p.Pool));

    private IEnumerable<(PoolKey Key, ServicePool Pool)> Created
    {
        get
        {
            foreach (var (key, entry) in _pools)
            {
                // Read once: a pool may be forgotten meanwhile.
                if (entry is { IsValueCreated: true, Value.Pool: { } pool })
                {
                    yield return (key, pool);
                }
            }
        }
    }

    /// <summary>The pool of a registered client.</summary>
    public ServicePool OfClient(string clientName)
    {
        var client = clients.Find(clientName)
            ?? throw new InvalidOperationException($"The client '{clientName}' does not discover a service; call AddEtcdDiscovery on its builder.");
        return Get(new PoolKey(client.OptionsName), client.ServiceName, client.Transport).Pool!;
    }

    /// <summary>The pool that the clients of a service share, for now: whoever keeps it asks by a <see cref="PoolHandle"/>.</summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="cluster">The cluster; null for the one that the service's settings name.</param>
    public ServicePool OfService(string serviceName, Cluster? cluster = null) => new PoolHandle(this, serviceName, cluster).Use();

    /// <summary>The entry of the pool that the clients of a service share.</summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="cluster">The cluster; null for the one that the service's settings name.</param>
    public PoolEntry GetEntry(string serviceName, Cluster? cluster) => Get(new PoolKey(serviceName, cluster), serviceName, []);

    /// <summary>Follows changes of the configuration, from now on.</summary>
    public void FollowConfiguration() => _reload ??= ChangeToken.OnChange(configuration.GetReloadToken, Reload);

    public void Dispose()
    {
        _disposed = true;
        _reload?.Dispose();
        _idle.Dispose();

        // One that could not be made, for wrong settings, would say so again.
        foreach (var entry in _pools.Values.Where(static p => p.IsValueCreated).Select(static p => p.Value))
        {
            entry.Pool?.Dispose();
            entry.Release();
        }
    }

    /// <summary>
    /// Calls go by the directory of the container, so an application that replaces it decides where they go. That of this library also
    /// knows layouts and instances that code sets for one client.
    /// </summary>
    private (IWatchedService Service, Action Release) GetService(string serviceName, Cluster cluster, EtcdDiscoveryOptions poolOptions)
    {
        var ofCluster = cluster.Name is null ? directory : cluster.GetService<IServiceDirectory>(services);
        if (ofCluster is DirectoryRouter router)
        {
            ofCluster = router.Of(cluster);
        }

        if (ofCluster is ServiceDirectory own)
        {
            var entry = own.Acquire(serviceName, poolOptions);
            return (entry.Service, () => own.Release(entry));
        }

        var service = new SubscribedService(
            ofCluster, serviceName, time, cluster.GetService<ILogger<IServiceDirectory>>(services));

        // Its loop ends by itself; nobody waits for it.
        return (service, () => _ = service.DisposeAsync().AsTask());
    }

    private void Reload()
    {
        foreach (var (key, pool) in Created)
        {
            settings.Follow(
                key.OptionsName,
                key.Cluster,
                pool.ServiceName,
                pool.Options,
                changed => pool.Apply(changed, policies.Get(changed.Policy, "Etcd:Discovery:Policy")));
        }
    }

    private PoolEntry Get(PoolKey poolKey, string serviceName, IReadOnlyList<Action<SocketsHttpHandler>> transport)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(IServiceDirectory));
        var entry = _pools.GetOrAdd(poolKey, key => new Lazy<PoolEntry>(() => Create(key, serviceName, transport)));
        try
        {
            return entry.Value;
        }
        catch
        {
            // Or a setting that was wrong at the first use would stay wrong until a restart.
            cache.TryRemove(poolKey.OptionsName);
            _pools.TryRemove(new KeyValuePair<PoolKey, Lazy<PoolEntry>>(poolKey, entry));
            throw;
        }
    }

    private PoolEntry Create(PoolKey key, string serviceName, IReadOnlyList<Action<SocketsHttpHandler>> transport)
    {
        var poolOptions = OptionsOf(key, serviceName);
        var policy = policies.Get(poolOptions.Policy, "Etcd:Discovery:Policy");
        var cluster = clusters.Get(poolOptions.Cluster);
        var logger = cluster.GetService<ILogger<InstanceState>>(services);
        var (service, release) = GetService(serviceName, cluster, poolOptions);

        // What the settings or the application's own directory say is not another's word.
        var isLocal = service is not (ServiceWatcher or CombinedService) || SourceOf(cluster).Endpoints.Any(LoopbackHost.Is);
        var filter = new AddressFilter(poolOptions, isLocal);
        var measured = metrics.Of(serviceName, cluster.Name, client: key.OptionsName == serviceName ? null : key.OptionsName);
        var isRegistered = key.Cluster is null && clients.All.Any(c => c.OptionsName == key.OptionsName);
        var pool = new ServicePool(
            serviceName,
            poolOptions,
            service,
            policy,
            filter,
            new TransportFactory(poolOptions, filter, transport, time, logger, meters, measured) { Resolver = resolver },
            time,
            logger,
            metrics: measured)
        {
            Successor = isRegistered ? null : () => OfService(serviceName, key.Cluster),
        };
        Func<PoolCounts> count = () => pool.Count(measured.Tags);
        metrics.Observed.AddPool(count);
        var entry = new PoolEntry(pool, () => Unlink(key, serviceName, count), release);
        if (!isRegistered)
        {
            _idle.Add(entry);
        }

        return entry;
    }

    /// <summary>Has a pool neither found, shown nor measured any longer.</summary>
    private void Unlink(PoolKey key, string serviceName, Func<PoolCounts> count)
    {
        metrics.Observed.RemovePool(count);
        if (key.Cluster is not null)
        {
            settings.Forget(key.OptionsName, key.Cluster);
        }
        else if (settings.CanCreate(key.OptionsName))
        {
            cache.TryRemove(key.OptionsName);
            settings.Forget(key.OptionsName, cluster: null);
        }

        _pools.TryRemove(key, out _);
        Forgotten?.Invoke(serviceName, key.Cluster);
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
