using Discovery.AspNetCore;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Yarp.Destinations;
using Discovery.AspNetCore.Yarp.LoadBalancing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.ServiceDiscovery;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds etcd to YARP.</summary>
public static class EtcdReverseProxyBuilderExtensions
{
    /// <summary>
    /// How long changes are collected after one was announced. YARP reads all clusters again for each, which a rolling restart must not make it
    /// do for every step.
    /// </summary>
    private static readonly TimeSpan ChangeInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Puts the instances of a service in place of destinations with addresses such as <c>etcd://greeter</c>, live, and adds the policy
    /// <see cref="EtcdLoadBalancingPolicies.LeastLoad"/>. Other destinations are left as they are, or to the resolver that was added before.
    /// </summary>
    /// <param name="builder">The proxy.</param>
    /// <param name="configure">Sets options of all services; wins over the section <c>Etcd:Discovery</c>.</param>
    /// <returns>The proxy.</returns>
    public static IReverseProxyBuilder AddEtcdDestinationResolver(this IReverseProxyBuilder builder, Action<EtcdDiscoveryOptions>? configure = null)
    {
        var services = builder.Services;
        services.AddEtcdDiscovery(configure);
        if (services.Any(static d => d.ServiceType == typeof(DestinationFactory)))
        {
            return builder;
        }

        EtcdUse.Of(services).Lookups.Add(static _ => true);
        var next = services.LastOrDefault(static d => d.ServiceType == typeof(IDestinationResolver) && !d.IsKeyedService);
        services.AddSingleton(static s => new DestinationFactory(
            new CallableInstances(
                s.GetRequiredService<IServiceDirectory>(),
                s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>(),
                s.GetRequiredService<ClusterCatalog>(),
                s,
                s.GetRequiredService<ILogger<IServiceDirectory>>()),
            s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>()));
        services.AddKeyedSingleton(typeof(EtcdDestinationResolver), static (s, _) => new FeedCatalog(
            s.GetRequiredService<IServiceDirectory>(),
            ChangeInterval,
            s.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider),
            s.GetRequiredService<ILogger<IServiceDirectory>>()));
        services.AddSingleton<IDestinationResolver>(s => new EtcdDestinationResolver(
            s.GetRequiredKeyedService<FeedCatalog>(typeof(EtcdDestinationResolver)),
            s.GetRequiredService<DestinationFactory>(),
            next is null ? null : Create(next, s),
            s.GetRequiredService<ILogger<EtcdDiscoveryOptions>>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ILoadBalancingPolicy, LeastLoadDestinationPolicy>());
        services.TryAddSingleton<ClusterBalancers>();
        return builder;
    }

    private static IDestinationResolver Create(ServiceDescriptor descriptor, IServiceProvider services)
        => (IDestinationResolver)(descriptor.ImplementationInstance
            ?? descriptor.ImplementationFactory?.Invoke(services)
            ?? ActivatorUtilities.CreateInstance(services, descriptor.ImplementationType!));
}
