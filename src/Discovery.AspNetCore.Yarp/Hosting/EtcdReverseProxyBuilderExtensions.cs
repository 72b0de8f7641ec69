using Discovery.AspNetCore;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Page;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Yarp.Destinations;
using Discovery.AspNetCore.Yarp.LoadBalancing;
using Discovery.AspNetCore.Yarp.ProxyConfig;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.ServiceDiscovery;
using Yarp.ReverseProxy.Transforms.Builder;

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
    /// <see cref="EtcdLoadBalancingPolicies.LeastLoad"/>. Instances without TLS that do not speak the version of HTTP that a cluster sends are left
    /// out of it; a filter that sets <c>HttpRequest</c> has to be added before. Other destinations are left as they are, or to the resolver that was added before.
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
            CallableInstances.Create(s), s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>()));
        services.AddKeyedSingleton(typeof(EtcdDestinationResolver), static (s, _) => FeedCatalog.Create(s, ChangeInterval));
        services.AddSingleton(static s => new FollowedServices(s.GetRequiredKeyedService<FeedCatalog>(typeof(EtcdDestinationResolver))));
        services.AddSingleton<IConfigChangeListener>(static s => s.GetRequiredService<FollowedServices>());
        services.AddSingleton<IDestinationResolver>(s => new EtcdDestinationResolver(
            s.GetRequiredService<FollowedServices>(),
            s.GetRequiredService<DestinationFactory>(),
            next is null ? null : Create(next, s),
            s.GetRequiredService<ILogger<EtcdDiscoveryOptions>>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IProxyConfigFilter, ProtocolFilter>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ILoadBalancingPolicy, LeastLoadDestinationPolicy>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITransformProvider, ProxiedCallTransforms>());
        services.TryAddSingleton<ClusterBalancers>();
        services.AddSingleton<IServiceViewSource, ClusterViews>();
        return builder;
    }

    /// <summary>
    /// Adds routes and clusters from etcd, live and beside those from elsewhere: the value of <c>yarp/routes/&lt;id&gt;</c> is a route, that of
    /// <c>yarp/clusters/&lt;id&gt;</c> a cluster, as JSON as in the section <c>ReverseProxy</c> of appsettings.json. What one transaction
    /// writes is taken over at once. A document that is wrong is logged, and its last good version stays in force. While etcd is
    /// away the proxy keeps what it has; at the start it waits for <see cref="EtcdDiscoveryOptions.ReadyTimeout"/>, and then begins without.
    /// </summary>
    /// <param name="builder">The proxy.</param>
    /// <param name="prefix">What the keys begin with, e.g. <c>yarp/</c>; a slash at its end is added.</param>
    /// <param name="cluster">The etcd cluster, by the name that <c>AddKeyedEtcdClient</c> gave it. Default: the default cluster.</param>
    /// <returns>The proxy.</returns>
    /// <exception cref="ArgumentException">The prefix is empty.</exception>
    public static IReverseProxyBuilder AddEtcdProxyConfig(this IReverseProxyBuilder builder, string prefix, string? cluster = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(prefix);
        var folder = prefix.EndsWith('/') ? prefix : prefix + "/";
        var services = builder.Services;
        EtcdServiceCollectionExtensions.AddDiscovery(services);
        if (string.IsNullOrEmpty(cluster))
        {
            services.AddEtcdClient();
        }

        services.AddSingleton<IProxyConfigProvider>(s => new EtcdProxyConfigProvider(
            s.GetRequiredService<ClusterCatalog>().Get(cluster).GetService<EtcdClient>(s),
            folder,
            s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().CurrentValue.ReadyTimeout,
            new DocumentCheck(s.GetRequiredService<IConfigValidator>(), s.GetServices<IProxyConfigFilter>()),
            s,
            s.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider),
            s.GetRequiredService<ILogger<EtcdDiscoveryOptions>>()));
        return builder;
    }

    private static IDestinationResolver Create(ServiceDescriptor descriptor, IServiceProvider services)
        => (IDestinationResolver)(descriptor.ImplementationInstance
            ?? descriptor.ImplementationFactory?.Invoke(services)
            ?? ActivatorUtilities.CreateInstance(services, descriptor.ImplementationType!));
}
