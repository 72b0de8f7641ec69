using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Pools;

/// <summary>All pools of the process: one for each service, and one for each client that is customised.</summary>
internal sealed partial class PoolCache(
    ClientCatalog clients,
    IServiceDirectory directory,
    PolicyCatalog policies,
    IOptionsMonitor<EtcdDiscoveryOptions> options,
    IOptionsMonitorCache<EtcdDiscoveryOptions> cache,
    IOptionsFactory<EtcdDiscoveryOptions> factory,
    IConfiguration configuration,
    IServiceSource source,
    [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time,
    ILoggerFactory loggers,
    IMeterFactory? meters = null) : IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<ServicePool>> _pools = new(StringComparer.Ordinal);
    private readonly ConcurrentBag<SubscribedService> _subscribed = [];
    private readonly ConcurrentDictionary<(ServicePool Pool, string Setting), bool> _unfollowed = new();
    private IDisposable? _reload;

    /// <summary>The pool of a registered client.</summary>
    public ServicePool OfClient(string clientName)
    {
        var client = clients.Find(clientName)
            ?? throw new InvalidOperationException($"The client '{clientName}' does not discover a service; call AddEtcdDiscovery on its builder.");
        return Get(client.OptionsName, client.ServiceName, client.Transport);
    }

    /// <summary>The pool that the clients of a service share.</summary>
    public ServicePool OfService(string serviceName) => Get(serviceName, serviceName, []);

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
    private IWatchedService GetService(string serviceName, EtcdDiscoveryOptions poolOptions)
    {
        if (directory is ServiceDirectory own)
        {
            return own.Get(serviceName, poolOptions);
        }

        var service = new SubscribedService(directory, serviceName, loggers.CreateLogger<IServiceDirectory>());
        _subscribed.Add(service);
        return service;
    }

    private void Reload()
    {
        foreach (var (name, pool) in _pools.Where(static p => p.Value.IsValueCreated))
        {
            try
            {
                var changed = factory.Create(name);
                WarnOfUnfollowed(pool.Value, changed);
                pool.Value.Apply(changed, policies.Get(changed.Policy, "Etcd:Discovery:Policy"));
            }
            catch (Exception e)
            {
                // Whatever a broken file leads to, also in the application's own code: what was valid goes on.
                Log.ChangeNotUsed(loggers.CreateLogger<InstanceState>(), pool.Value.ServiceName, e.Message);
            }
        }
    }

    private void WarnOfUnfollowed(ServicePool pool, EtcdDiscoveryOptions changed)
    {
        foreach (var setting in pool.Options.FindUnfollowed(changed))
        {
            if (_unfollowed.TryAdd((pool, setting), true))
            {
                Log.NeedsRestart(loggers.CreateLogger<InstanceState>(), setting, pool.ServiceName);
            }
        }
    }

    private ServicePool Get(string optionsName, string serviceName, IReadOnlyList<Action<SocketsHttpHandler>> transport)
    {
        var pool = _pools.GetOrAdd(optionsName, name => new Lazy<ServicePool>(() =>
        {
            var poolOptions = options.Get(name);
            var logger = loggers.CreateLogger<InstanceState>();
            var service = GetService(serviceName, poolOptions);

            // What the settings or the application's own directory say is not another's word.
            var isLocal = service is not (ServiceWatcher or CombinedService) || source.Endpoints.Any(static e => e.IsLoopback);
            var filter = new AddressFilter(poolOptions, isLocal);
            return new ServicePool(
                serviceName,
                poolOptions,
                service,
                policies.Get(poolOptions.Policy, "Etcd:Discovery:Policy"),
                filter,
                new TransportFactory(poolOptions, filter, transport, time, logger, meters),
                time,
                logger);
        }));
        try
        {
            return pool.Value;
        }
        catch
        {
            // Or a setting that was wrong at the first use would stay wrong until a restart.
            cache.TryRemove(optionsName);
            _pools.TryRemove(new KeyValuePair<string, Lazy<ServicePool>>(optionsName, pool));
            throw;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2309, LogLevel.Error, "The changed discovery settings of service '{Service}' are not used: {Problem}")]
        public static partial void ChangeNotUsed(ILogger logger, string service, string problem);

        [LoggerMessage(2310, LogLevel.Warning, "Etcd:Discovery:{Setting} was changed for service '{Service}'; that has no effect before the next start.")]
        public static partial void NeedsRestart(ILogger logger, string setting, string service);
    }
}
