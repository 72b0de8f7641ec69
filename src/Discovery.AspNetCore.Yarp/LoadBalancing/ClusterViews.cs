using Discovery.AspNetCore.Diagnostics.Page;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>The services as the proxy's clusters call them that <see cref="LeastLoadDestinationPolicy"/> balances.</summary>
internal sealed class ClusterViews(ClusterBalancers balancers, IProxyStateLookup proxy, IOptionsMonitor<EtcdDiscoveryOptions> options) : IServiceViewSource
{
    public IReadOnlyList<ServiceView> ViewsOf(IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> watched)
        => [.. proxy.GetClusters().SelectMany(cluster => ViewsOf(cluster, watched))];

    private IEnumerable<ServiceView> ViewsOf(ClusterState cluster, IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> watched)
    {
        // What a cluster counted before its policy was changed is kept with it.
        if (!EtcdLoadBalancingPolicies.LeastLoad.Equals(cluster.Model.Config.LoadBalancingPolicy, StringComparison.OrdinalIgnoreCase)
            || balancers.Find(cluster) is not { } balancer)
        {
            yield break;
        }

        foreach (var destinations in cluster.Destinations.Values.GroupBy(static d => d.Model.Config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Service)))
        {
            if (destinations.Key is not { } service || FindWatched(watched, service) is not var (status, snapshot))
            {
                continue;
            }

            yield return ServiceView.Of(
                $"YARP cluster {cluster.ClusterId}",
                EtcdLoadBalancingPolicies.LeastLoad,
                status,
                snapshot,
                [.. destinations.Select(balancer.Find).OfType<InstanceState>()],
                destinations.Select(static d => ClusterBalancer.RecordOf(d).Address).ToHashSet(StringComparer.OrdinalIgnoreCase));
        }
    }

    private (ServiceStatus Status, ServiceSnapshot? Snapshot)? FindWatched(
        IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> watched, string service)
    {
        var cluster = options.Get(service).Cluster;
        foreach (var one in watched)
        {
            if (one.Status.ServiceName == service && one.Status.Cluster == cluster)
            {
                return one;
            }
        }

        return null;
    }
}
