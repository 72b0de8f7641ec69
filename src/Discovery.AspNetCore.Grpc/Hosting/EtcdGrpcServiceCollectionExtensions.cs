using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Channels;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Resolving;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds gRPC clients that find their service in etcd.</summary>
public static class EtcdGrpcServiceCollectionExtensions
{
    /// <summary>
    /// How long changes are collected for channels after one was announced: each makes them look at all addresses, which a rolling restart must
    /// not make them do for every step.
    /// </summary>
    private static readonly TimeSpan ChangeInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Adds a typed gRPC client that calls the service of its contract, by the full name in the .proto, e.g. <c>helloworld.Greeter</c>; or the one
    /// that <c>Etcd:Discovery:Clients:helloworld.Greeter:Service</c> names. That contract is also the client's name, for
    /// <c>GrpcClientFactory</c> and log categories.
    /// </summary>
    /// <typeparam name="TClient">The client that the gRPC plugin generated, e.g. <c>Greeter.GreeterClient</c>.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own.</param>
    /// <param name="configureChannel">Sets options of the channel, e.g. the greatest message, retries or compression.</param>
    /// <returns>The client's builder, as <c>AddGrpcClient</c> returns it.</returns>
    /// <exception cref="ArgumentException">The type is no client that the gRPC plugin generated.</exception>
    public static IHttpClientBuilder AddEtcdGrpcClient<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.PublicMethods)] TClient>(
        this IServiceCollection services, Action<EtcdDiscoveryOptions>? configure = null, Action<GrpcChannelOptions>? configureChannel = null)
        where TClient : class
        => Add<TClient>(services, ContractName.Of<TClient>(), serviceName: null, configure, configureChannel);

    /// <summary>
    /// Adds a typed gRPC client whose calls go to the instances of a service, found in etcd and balanced per call. The client can be
    /// injected, into controllers for example, and is configured further by the builder, as any client of <c>AddGrpcClient</c>. One contract
    /// that several services have is injected by <c>[FromKeyedServices("greeter")]</c>.
    /// </summary>
    /// <typeparam name="TClient">The client that the gRPC plugin generated, e.g. <c>Greeter.GreeterClient</c>.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="serviceName">The service's name in etcd, exact and case-sensitive.</param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own.</param>
    /// <param name="configureChannel">Sets options of the channel, e.g. the greatest message, retries or compression.</param>
    /// <returns>
    /// The client's builder. The client's name, for <c>GrpcClientFactory</c> and log categories, is the service's and the type's:
    /// <c>greeter/Helloworld.Greeter.GreeterClient</c>.
    /// </returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    public static IHttpClientBuilder AddEtcdGrpcClient<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(
        this IServiceCollection services,
        string serviceName,
        Action<EtcdDiscoveryOptions>? configure = null,
        Action<GrpcChannelOptions>? configureChannel = null)
        where TClient : class
    {
        var name = $"{serviceName}/{typeof(TClient).FullName!.Replace('+', '.')}";
        var builder = services.AddEtcdGrpcClient<TClient>(name, serviceName, configure, configureChannel);
        AddKeyed<TClient>(services, serviceName, name);
        return builder;
    }

    /// <summary>
    /// Adds a typed gRPC client under a name of your own, for a contract that several services have: get each by
    /// <c>[FromKeyedServices(name)]</c>, or by <c>GrpcClientFactory.CreateClient&lt;TClient&gt;(name)</c>. Injected without a name is the one that
    /// was added last.
    /// </summary>
    /// <typeparam name="TClient">The client that the gRPC plugin generated, e.g. <c>Greeter.GreeterClient</c>.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="name">The client's name.</param>
    /// <param name="serviceName">The service's name in etcd, exact and case-sensitive.</param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own.</param>
    /// <param name="configureChannel">Sets options of the channel, e.g. the greatest message, retries or compression.</param>
    /// <returns>The client's builder.</returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    /// <exception cref="InvalidOperationException">A client of this name discovers another service already.</exception>
    public static IHttpClientBuilder AddEtcdGrpcClient<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(
        this IServiceCollection services,
        string name,
        string serviceName,
        Action<EtcdDiscoveryOptions>? configure = null,
        Action<GrpcChannelOptions>? configureChannel = null)
        where TClient : class
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(serviceName);
        return Add<TClient>(services, name, serviceName, configure, configureChannel);
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
        AddChannelConfiguration(services);
        services.TryAddSingleton<IEtcdGrpcChannels>(static s => Create(s, cluster: null));
        services.TryAddKeyedSingleton<IEtcdGrpcChannels>(
            KeyedService.AnyKey, static (s, key) => Create(s, s.GetRequiredService<ClusterCatalog>().Get(key as string)));
        return services;
    }

    /// <summary>
    /// Has channels with addresses such as <c>etcd:///greeter</c> follow their service in etcd, for the balancing of Grpc.Net.Client itself:
    /// <c>GrpcChannel.ForAddress</c> with <see cref="GrpcChannelOptions.ServiceProvider"/>, <see cref="GrpcChannelOptions.Credentials"/>, which
    /// decide on TLS, and a <c>LoadBalancingConfig</c>, without which one instance gets all calls. Clients of <c>AddEtcdGrpcClient</c> do not need
    /// it: they balance by load, eject what fails and try another instance, which Grpc.Net.Client cannot.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdGrpcResolver(this IServiceCollection services)
    {
        services.AddEtcdDiscovery();
        if (services.Any(static d => d.ServiceType == typeof(AddressList)))
        {
            return services;
        }

        EtcdUse.Of(services).Lookups.Add(static _ => true);
        services.AddSingleton(static s => new AddressList(
            CallableInstances.Create(s), s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>()));
        services.AddKeyedSingleton(typeof(EtcdResolverFactory), static (s, _) => FeedCatalog.Create(s, ChangeInterval));
        services.AddSingleton<ResolverFactory, EtcdResolverFactory>();
        return services;
    }

    /// <summary>What clients of <c>AddGrpcClient</c> that discover a service need.</summary>
    internal static void AddChannelConfiguration(IServiceCollection services)
        => services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<GrpcClientFactoryOptions>, ConfigureDiscoveringChannels>());

    private static IHttpClientBuilder Add<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(
        IServiceCollection services,
        string name,
        string? serviceName,
        Action<EtcdDiscoveryOptions>? configure,
        Action<GrpcChannelOptions>? configureChannel)
        where TClient : class
    {
        services.AddEtcdGrpcChannels();
        var builder = services.AddGrpcClient<TClient>(name, (provider, options) =>
        {
            var discovery = provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
            var client = provider.GetRequiredService<ClientCatalog>().Find(name)!;
            options.Address = ServiceAuthority.BaseAddress(discovery.Get(client.OptionsName).Scheme, client.ServiceName);
        });
        EtcdHttpClientBuilderExtensions.AddClient(builder, serviceName, configure).HasAnyHost = true;
        if (configureChannel is not null)
        {
            builder.ConfigureChannel(configureChannel);
        }

        AddKeyed<TClient>(services, name, name);
        return builder;
    }

    private static void AddKeyed<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TClient>(
        IServiceCollection services, string key, string name)
        where TClient : class
        => services.TryAddKeyedTransient(key, (s, _) => s.GetRequiredService<GrpcClientFactory>().CreateClient<TClient>(name));

    private static EtcdGrpcChannels Create(IServiceProvider services, Cluster? cluster)
        => new(services.GetRequiredService<PoolCache>(), services.GetRequiredService<ILoggerFactory>(), cluster);
}
