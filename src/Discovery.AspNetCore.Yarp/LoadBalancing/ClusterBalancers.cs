using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Balancing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>The balancers of the proxy's clusters. They go with the clusters.</summary>
internal sealed class ClusterBalancers(
    IOptionsMonitor<EtcdDiscoveryOptions> options,
    PolicyCatalog policies,
    [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time,
    ILogger<InstanceState> logger)
{
    private readonly ConditionalWeakTable<ClusterState, ClusterBalancer> _byCluster = [];

    public ClusterBalancer Of(ClusterState cluster)
        => _byCluster.TryGetValue(cluster, out var balancer) ? balancer : _byCluster.GetValue(cluster, Create);

    /// <summary>The settings are those of the service that the cluster leads to, or those of all services.</summary>
    private ClusterBalancer Create(ClusterState cluster)
    {
        var service = cluster.Destinations.Values
            .Select(static d => d.Model.Config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Service))
            .FirstOrDefault(static s => s is not null);
        return new ClusterBalancer(options.Get(service), policies.Get(BalancingPolicies.LeastLoad, ""), time, logger);
    }
}
