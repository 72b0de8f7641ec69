using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Balancing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>The balancers of the proxy's clusters. They go with the clusters.</summary>
internal sealed partial class ClusterBalancers : IDisposable
{
    private readonly ConditionalWeakTable<ClusterState, ClusterBalancer> _byCluster = [];
    private readonly IOptionsFactory<EtcdDiscoveryOptions> _options;
    private readonly PolicyCatalog _policies;
    private readonly TimeProvider _time;
    private readonly ILogger<InstanceState> _logger;
    private readonly IDisposable _reload;

    public ClusterBalancers(
        IOptionsFactory<EtcdDiscoveryOptions> options,
        PolicyCatalog policies,
        IConfiguration configuration,
        [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time,
        ILogger<InstanceState> logger)
    {
        _options = options;
        _policies = policies;
        _time = time;
        _logger = logger;
        _reload = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    public ClusterBalancer Of(ClusterState cluster)
        => _byCluster.TryGetValue(cluster, out var balancer) ? balancer : _byCluster.GetValue(cluster, Create);

    /// <summary>The balancer of a cluster; null before its first request.</summary>
    public ClusterBalancer? Find(ClusterState cluster) => _byCluster.TryGetValue(cluster, out var balancer) ? balancer : null;

    public void Dispose() => _reload.Dispose();

    /// <summary>The settings are those of the service that the cluster leads to, or those of all services.</summary>
    private ClusterBalancer Create(ClusterState cluster)
    {
        var service = cluster.Destinations.Values
            .Select(static d => d.Model.Config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Service))
            .FirstOrDefault(static s => s is not null) ?? Options.DefaultName;
        return new ClusterBalancer(service, _options.Create(service), _policies.Get(BalancingPolicies.LeastLoad, ""), _time, _logger);
    }

    private void Reload()
    {
        foreach (var (cluster, balancer) in _byCluster)
        {
            try
            {
                balancer.Apply(_options.Create(balancer.ServiceName));
            }
            catch (Exception e)
            {
                // Whatever a broken file leads to: what was valid goes on.
                Log.ChangeNotUsed(_logger, cluster.ClusterId, e.Message);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4110, LogLevel.Error, "The changed discovery settings are not used for the proxy's cluster '{Cluster}': {Problem}")]
        public static partial void ChangeNotUsed(ILogger logger, string cluster, string problem);
    }
}
