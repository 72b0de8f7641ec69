using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Pools;

/// <summary>All pools of the process: one for each service, and one for each client that is customised.</summary>
internal sealed class PoolCache(
    ClientCatalog clients,
    ServiceDirectory directory,
    PolicyCatalog policies,
    IOptionsMonitor<EtcdDiscoveryOptions> options,
    IServiceSource source,
    TimeProvider time,
    ILogger<ServicePool> logger,
    IMeterFactory? meters = null) : IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<ServicePool>> _pools = new(StringComparer.Ordinal);

    /// <summary>The pool of a registered client.</summary>
    public ServicePool OfClient(string clientName)
    {
        var client = clients.Find(clientName)
            ?? throw new InvalidOperationException($"The client '{clientName}' does not discover a service; call AddEtcdDiscovery on its builder.");
        return Get(client.OptionsName, client.ServiceName, client.Transport);
    }

    /// <summary>The pool that the clients of a service share.</summary>
    public ServicePool OfService(string serviceName) => Get(serviceName, serviceName, []);

    public void Dispose()
    {
        // One that could not be made, for wrong settings, would say so again.
        foreach (var pool in _pools.Values.Where(static p => p.IsValueCreated))
        {
            pool.Value.Dispose();
        }
    }

    private ServicePool Get(string optionsName, string serviceName, IReadOnlyList<Action<SocketsHttpHandler>> transport)
        => _pools.GetOrAdd(optionsName, name => new Lazy<ServicePool>(() =>
        {
            var poolOptions = options.Get(name);
            var filter = new AddressFilter(poolOptions, source.Endpoints.Any(static e => e.IsLoopback));
            return new ServicePool(
                serviceName,
                poolOptions,
                directory.GetWatcher(serviceName, poolOptions),
                policies.Get(poolOptions.Policy, "Etcd:Discovery:Policy"),
                filter,
                new TransportFactory(poolOptions, filter, transport, time, logger, meters),
                time,
                logger);
        })).Value;
}
