using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>This library's balancer as a policy of YARP.</summary>
internal sealed class LeastLoadDestinationPolicy(ClusterBalancers balancers) : ILoadBalancingPolicy
{
    public string Name => EtcdLoadBalancingPolicies.LeastLoad;

    public DestinationState? PickDestination(HttpContext context, ClusterState cluster, IReadOnlyList<DestinationState> availableDestinations)
    {
        if (availableDestinations.Count == 0)
        {
            return null;
        }

        // A middleware that sends a request once more has another destination picked: the first is done with.
        context.Features.Get<ProxiedCall>()?.End();
        if (balancers.Of(cluster).Pick(availableDestinations, cluster.DestinationsState.AllDestinations) is not var (destination, instance))
        {
            return null;
        }

        context.Features.Set(ProxiedCall.Start(context, destination, instance, isPinned: false));
        return destination;
    }
}
