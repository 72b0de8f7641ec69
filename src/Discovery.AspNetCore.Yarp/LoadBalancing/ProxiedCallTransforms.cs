using Yarp.ReverseProxy.Model;
using Yarp.ReverseProxy.Transforms;
using Yarp.ReverseProxy.Transforms.Builder;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>
/// Counts each request to a cluster that <see cref="LeastLoadDestinationPolicy"/> balances when it is about to be sent. The proxy asks the policy only
/// where there are several destinations to choose from: not after session affinity has chosen, nor where there is one.
/// </summary>
internal sealed class ProxiedCallTransforms(ClusterBalancers balancers) : ITransformProvider
{
    public void ValidateRoute(TransformRouteValidationContext context)
    {
    }

    public void ValidateCluster(TransformClusterValidationContext context)
    {
    }

    public void Apply(TransformBuilderContext context)
    {
        // As the proxy compares the names of policies.
        if (EtcdLoadBalancingPolicies.LeastLoad.Equals(context.Cluster?.LoadBalancingPolicy, StringComparison.OrdinalIgnoreCase))
        {
            context.AddRequestTransform(OnForwardingAsync);
            context.AddResponseTransform(OnResponseAsync);
        }
    }

    private static ValueTask OnResponseAsync(ResponseTransformContext transform)
    {
        if (transform.ProxyResponse is not null)
        {
            transform.HttpContext.Features.Get<ProxiedCall>()?.OnAnswered();
        }

        return ValueTask.CompletedTask;
    }

    private ValueTask OnForwardingAsync(RequestTransformContext transform)
    {
        var context = transform.HttpContext;
        if (context.Features.Get<IReverseProxyFeature>() is { ProxiedDestination: { } destination, Route.Cluster: { } cluster })
        {
            var call = context.Features.Get<ProxiedCall>();
            if (call is null || !call.IsUnderWayTo(destination))
            {
                // Of a middleware that sends a request once more, to the one destination that is left.
                call?.End();
                var instance = balancers.Of(cluster).InstanceOf(destination, cluster.DestinationsState.AllDestinations);
                call = ProxiedCall.Start(context, destination, instance, isPinned: true);
                context.Features.Set(call);
            }

            call.OnForwarding();
        }

        return ValueTask.CompletedTask;
    }
}
