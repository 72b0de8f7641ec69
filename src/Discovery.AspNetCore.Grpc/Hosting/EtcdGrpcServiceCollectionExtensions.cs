using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Channels;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds gRPC clients that find their service in etcd.</summary>
public static class EtcdGrpcServiceCollectionExtensions
{
    /// <summary>
    /// Adds a typed gRPC client whose calls go to the instances of a service, found in etcd and balanced per call. The client can be
    /// injected, into controllers for example, and is configured further by the builder, as any client of <c>AddGrpcClient</c>.
    /// </summary>
    /// <typeparam name="TClient">The client that the gRPC plugin generated, e.g. <c>Greeter.GreeterClient</c>.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="serviceName">The service's name in etcd, exact and case-sensitive.</param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own.</param>
    /// <returns>
    /// The client's builder. The client's name, for <c>GrpcClientFactory</c> and log categories, is the service's and the type's:
    /// <c>greeter/Helloworld.Greeter.GreeterClient</c>.
    /// </returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    public static IHttpClientBuilder AddEtcdGrpcClient<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(
        this IServiceCollection services, string serviceName, Action<EtcdDiscoveryOptions>? configure = null)
        where TClient : class
        => services.AddEtcdGrpcClient<TClient>($"{serviceName}/{typeof(TClient).FullName!.Replace('+', '.')}", serviceName, configure);

    /// <summary>
    /// Adds a typed gRPC client under a name of your own, for a contract that several services have: get each by
    /// <c>GrpcClientFactory.CreateClient&lt;TClient&gt;(name)</c>. Injected without a name is the one that was added last.
    /// </summary>
    /// <typeparam name="TClient">The client that the gRPC plugin generated, e.g. <c>Greeter.GreeterClient</c>.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="name">The client's name.</param>
    /// <param name="serviceName">The service's name in etcd, exact and case-sensitive.</param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own.</param>
    /// <returns>The client's builder.</returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    /// <exception cref="InvalidOperationException">A client of this name discovers another service already.</exception>
    public static IHttpClientBuilder AddEtcdGrpcClient<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(
        this IServiceCollection services, string name, string serviceName, Action<EtcdDiscoveryOptions>? configure = null)
        where TClient : class
    {
        services.AddEtcdGrpcChannels();
        var builder = services.AddGrpcClient<TClient>(name, (provider, options) =>
        {
            var discovery = provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
            var client = provider.GetRequiredService<ClientCatalog>().Find(name)!;
            options.Address = ServiceAuthority.BaseAddress(discovery.Get(client.OptionsName).Scheme, serviceName);
        });
        EtcdHttpClientBuilderExtensions.AddClient(builder, serviceName, configure).HasAnyHost = true;
        return builder;
    }

    /// <summary>
    /// Adds <see cref="IEtcdGrpcChannels"/>, for code that makes its own clients. <c>AddEtcdGrpcClient</c> calls it. Keyed by the name of a
    /// cluster, its channels go to services of that cluster, whatever the settings of the services say.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdGrpcChannels(this IServiceCollection services)
    {
        services.AddEtcdDiscovery();
        services.TryAddSingleton<IEtcdGrpcChannels>(static s => Create(s, cluster: null));
        services.TryAddKeyedSingleton<IEtcdGrpcChannels>(
            KeyedService.AnyKey, static (s, key) => Create(s, s.GetRequiredService<ClusterCatalog>().Get(key as string)));
        return services;
    }

    private static EtcdGrpcChannels Create(IServiceProvider services, Cluster? cluster)
        => new(services.GetRequiredService<PoolCache>(), services.GetRequiredService<ILoggerFactory>(), cluster);
}
