using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Hosting.Authorities;
using Discovery.AspNetCore.Hosting.PrimaryHandlers;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Discovery.Etcd.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds registration and discovery by etcd to an application.</summary>
public static class EtcdServiceCollectionExtensions
{
    /// <summary>
    /// Adds the <see cref="EtcdClient"/> that registration and discovery share. They call it themselves; call it to use the client, or
    /// to set its options in code.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options; wins over the section <c>Etcd</c> and the connection string <c>etcd</c>.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdClient(this IServiceCollection services, Action<EtcdClientOptions>? configure = null)
    {
        AddClientAndLayouts(services);
        EtcdUse.Of(services).IsRequired = true;
        return Configure(services, configure);
    }

    /// <summary>
    /// Adds another cluster beside the default one: its <see cref="EtcdClient"/> and its <see cref="IServiceDirectory"/>, both keyed by its
    /// name. Clients find their service there by <see cref="EtcdDiscoveryOptions.Cluster"/>, and
    /// <see cref="AddKeyedEtcdRegistration"/> registers the application there. Nothing is inherited from the section <c>Etcd</c>.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="name">The cluster's name, e.g. <c>dc2</c>: letters, digits, dots, hyphens and underscores.</param>
    /// <param name="configure">Sets options; wins over the section <c>Etcd:Clusters:&lt;name&gt;</c> and the connection string of that name.</param>
    /// <returns>The services.</returns>
    /// <exception cref="ArgumentException">The name is not valid, or a cluster was added whose name has another case only.</exception>
    public static IServiceCollection AddKeyedEtcdClient(
        this IServiceCollection services, string name, Action<EtcdClientOptions>? configure = null)
    {
        AddCluster(services, name);
        EtcdUse.Of(services).RequiredClusters.Add(name);
        return configure is null ? services : services.Configure(name, configure);
    }

    /// <summary>
    /// Registers the application in etcd when it has started, under a lease, and takes it out before it stops: it says that it drains,
    /// leaves, and revokes the lease while it still serves.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options; wins over the section <c>Etcd:Registration</c>.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdRegistration(
        this IServiceCollection services, Action<EtcdRegistrationOptions>? configure = null)
    {
        AddRegistrationInAnyCluster(services);
        ClusterCatalog.Of(services).AddRegistration(Cluster.Default);
        services.AddOptions<EtcdRegistrationOptions>().ValidateOnStart();
        services.TryAddSingleton(static s => ClusterServices.CreateRegistrationSettings(s, Cluster.Default));
        services.TryAddSingleton(static s => ClusterServices.CreateRegistration(s, Cluster.Default));
        services.TryAddSingleton<IServiceRegistration>(static s => s.GetRequiredService<RegistrationService>());
        return Configure(services, configure);
    }

    /// <summary>
    /// Registers the application in a named cluster, beside the default one or alone. The registrations are independent, each with its own
    /// lease; <see cref="IServiceRegistration"/> keyed by the name shows and steers this one.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="name">The cluster's name; it is added as by <see cref="AddKeyedEtcdClient"/>.</param>
    /// <param name="configure">
    /// Sets options for this cluster. All else is as for the default registration, in code and in the section <c>Etcd:Registration</c>; the
    /// section <c>Etcd:Clusters:&lt;name&gt;:Registration</c> has what differs.
    /// </param>
    /// <returns>The services.</returns>
    /// <exception cref="ArgumentException">The name is not valid, or a cluster was added whose name has another case only.</exception>
    public static IServiceCollection AddKeyedEtcdRegistration(
        this IServiceCollection services, string name, Action<EtcdRegistrationOptions>? configure = null)
    {
        var cluster = AddCluster(services, name);
        AddRegistrationInAnyCluster(services);
        ClusterCatalog.Of(services).AddRegistration(cluster);
        ClusterServices.AddRegistration(services, cluster);
        return configure is null ? services : services.Configure(name, configure);
    }

    /// <summary>
    /// Adds discovery: <see cref="IServiceDirectory"/>, and what clients with <c>AddEtcdDiscovery</c> or <c>AddEtcdGrpcClient</c> need.
    /// Those call it themselves; call it to set options for all services in code, or to use the directory alone.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options of all services; wins over the section <c>Etcd:Discovery</c>.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdDiscovery(this IServiceCollection services, Action<EtcdDiscoveryOptions>? configure = null)
    {
        AddDiscovery(services);
        EtcdUse.Of(services).HasDirectory = true;
        if (configure is not null)
        {
            services.ConfigureAll(configure);
        }

        return services;
    }

    /// <summary>What discovery needs in whatever cluster. Unlike <see cref="AddEtcdDiscovery"/> it does not say that the default one is used.</summary>
    internal static void AddDiscovery(IServiceCollection services)
    {
        // Called for each client, of which there may be thousands, and to look for each of these services costs time for all that there are.
        if (ClientCatalog.IsIn(services))
        {
            return;
        }

        ClientCatalog.Add(services, static (clients, provider) => ClientServiceNames.Read(clients, provider.GetRequiredService<IConfiguration>()));
        AddClientAndLayouts(services);
        AddConfiguration<EtcdDiscoveryOptions, ConfigureDiscovery>(services);
        services.TryAddTransient<IOptionsFactory<EtcdDiscoveryOptions>, DiscoveryOptionsFactory>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EtcdDiscoveryOptions>, ValidateDiscovery>());
        services.AddOptions<EtcdDiscoveryOptions>().ValidateOnStart();
        services.TryAddSingleton<PolicyCatalog>();
        services.TryAddSingleton<DiscoverySettings>();
        services.TryAddSingleton<IServiceSource>(static s => ClusterServices.CreateSource(s, Cluster.Default));
        services.TryAddSingleton(static s => new ListingPlanner(
            s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>(),
            s.GetRequiredService<LayoutCatalog>(),
            () => NamedServices.Find(s.GetRequiredService<IConfiguration>(), s.GetRequiredService<ClientCatalog>())));
        services.TryAddSingleton(static s => ClusterServices.CreateDirectory(s, Cluster.Default));
        services.TryAddSingleton<DirectoryRouter>();
        services.TryAdd(EtcdUse.DescribeOwnDirectory());
        services.TryAddSingleton(HostResolver.Default);
        services.TryAddSingleton<PoolCache>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHttpMessageHandlerBuilderFilter, ClientPipeline>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<HttpClientFactoryOptions>, ConfigureDiscoveringHandlers>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, PoolWarmup>());
    }

    /// <summary>What registration and discovery in a named cluster share. Unlike <see cref="AddKeyedEtcdClient"/> it does not say that the client is used.</summary>
    internal static Cluster AddCluster(IServiceCollection services, string name)
    {
        var (cluster, isNew) = ClusterCatalog.Of(services).GetOrAdd(name);
        AddDiscovery(services);
        if (isNew)
        {
            ClusterServices.AddClient(services, cluster);
        }

        return cluster;
    }

    private static void AddRegistrationInAnyCluster(IServiceCollection services)
    {
        AddClientAndLayouts(services);
        AddConfiguration<EtcdRegistrationOptions, ConfigureRegistration>(services);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<EtcdRegistrationOptions>, ConfigureRegistration>());
        services.TryAddTransient<IOptionsFactory<EtcdRegistrationOptions>, RegistrationOptionsFactory>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EtcdRegistrationOptions>, ValidateRegistration>());
        services.TryAddSingleton<LocalAddresses>();
        services.TryAddSingleton<GoAuthorities>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<KestrelServerOptions>, ConfigureAuthorities>());
        services.TryAddSingleton<OwnRegistrations>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, RegistrationGroup>());
    }

    /// <summary>What registration and discovery share. Unlike <see cref="AddEtcdClient"/> it does not say that the client is used.</summary>
    internal static void AddClientAndLayouts(IServiceCollection services)
    {
        _ = EtcdUse.Of(services);
        _ = ClusterCatalog.Of(services);
        services.AddLogging();
        ClusterServices.AddLoggers(services);
        services.AddMetrics();
        services.TryAddSingleton<DiscoveryMetrics>();
        services.TryAddSingleton(Cluster.Default);
        services.TryAddSingleton<MissingEndpoints>();

        // An application's own clock may stand still or travel, in a test or in staging; leases and timeouts must not follow it unasked.
        services.TryAddKeyedSingleton(EtcdServiceKeys.TimeProvider, TimeProvider.System);

        // A bare service collection, as in a tool or a test, has no configuration; code then sets everything.
        services.TryAddSingleton<IConfiguration>(static _ => new ConfigurationBuilder().Build());
        AddConfiguration<EtcdClientOptions, ConfigureEtcdClient>(services);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EtcdClientOptions>, ValidateEtcdClient>());
        services.AddOptions<EtcdClientOptions>().ValidateOnStart();
        services.TryAddSingleton(static s => ClusterServices.CreateClient(s, Cluster.Default));
        services.TryAddSingleton(static s => ClusterServices.Defer(s, Cluster.Default));
        services.TryAddSingleton<LayoutCatalog>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, UnknownSettings>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, SmallShares>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ClientSettingChanges>());
    }

    /// <summary>Has options read from the configuration before code sets any, also code that ran before this: what code sets wins.</summary>
    private static void AddConfiguration<TOptions, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TConfigure>(
        IServiceCollection services)
        where TOptions : class
        where TConfigure : class, IConfigureOptions<TOptions>
    {
        if (services.All(static d => d.IsKeyedService || d.ImplementationType != typeof(TConfigure)))
        {
            services.Insert(0, ServiceDescriptor.Singleton<IConfigureOptions<TOptions>, TConfigure>());
        }
    }

    private static IServiceCollection Configure<TOptions>(IServiceCollection services, Action<TOptions>? configure)
        where TOptions : class
        => configure is null ? services : services.Configure(configure);
}
