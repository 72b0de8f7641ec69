using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Hosting.Authorities;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.AspNetCore.Registration.Health;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
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
    /// Registers the application in etcd when it has started, under a lease, and takes it out before it stops: it says that it drains,
    /// leaves, and revokes the lease while it still serves.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options; wins over the section <c>Etcd:Registration</c>.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdRegistration(
        this IServiceCollection services, Action<EtcdRegistrationOptions>? configure = null)
    {
        AddClientAndLayouts(services);
        AddConfiguration<EtcdRegistrationOptions, ConfigureRegistration>(services);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EtcdRegistrationOptions>, ValidateRegistration>());
        services.AddOptions<EtcdRegistrationOptions>().ValidateOnStart();
        services.TryAddSingleton<RegistrationSettings>();
        services.TryAddSingleton<GoAuthorities>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<KestrelServerOptions>, ConfigureAuthorities>());
        services.TryAddSingleton<LocalAddresses>();
        services.TryAddSingleton<RegistrationPlanner>();
        services.TryAddSingleton<HealthMonitor>();
        services.TryAddSingleton<RegistrationService>();
        services.TryAddSingleton<IServiceRegistration>(static s => s.GetRequiredService<RegistrationService>());
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IHostedService, RegistrationService>(static s => s.GetRequiredService<RegistrationService>()));
        return Configure(services, configure);
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
        AddClientAndLayouts(services);
        if (services.All(static d => d.ServiceType != typeof(ClientCatalog)))
        {
            services.AddSingleton(new ClientCatalog());
        }

        AddConfiguration<EtcdDiscoveryOptions, ConfigureDiscovery>(services);
        services.TryAddTransient<IOptionsFactory<EtcdDiscoveryOptions>, DiscoveryOptionsFactory>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EtcdDiscoveryOptions>, ValidateDiscovery>());
        services.AddOptions<EtcdDiscoveryOptions>().ValidateOnStart();
        services.TryAddSingleton<PolicyCatalog>();
        services.TryAddSingleton<IServiceSource>(static s => new EtcdServiceSource(s.GetRequiredService<Lazy<EtcdClient>>()));
        services.TryAddSingleton<ServiceDirectory>();
        services.TryAdd(EtcdUse.DescribeOwnDirectory());
        services.TryAddSingleton<PoolCache>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHttpMessageHandlerBuilderFilter, ClientPipeline>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, PoolWarmup>());
        if (configure is not null)
        {
            services.ConfigureAll(configure);
        }

        return services;
    }

    /// <summary>What registration and discovery share. Unlike <see cref="AddEtcdClient"/> it does not say that the client is used.</summary>
    private static void AddClientAndLayouts(IServiceCollection services)
    {
        _ = EtcdUse.Of(services);
        services.AddLogging();

        // An application's own clock may stand still or travel, in a test or in staging; leases and timeouts must not follow it unasked.
        services.TryAddKeyedSingleton(EtcdServiceKeys.TimeProvider, TimeProvider.System);

        // A bare service collection, as in a tool or a test, has no configuration; code then sets everything.
        services.TryAddSingleton<IConfiguration>(static _ => new ConfigurationBuilder().Build());
        AddConfiguration<EtcdClientOptions, ConfigureEtcdClient>(services);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EtcdClientOptions>, ValidateEtcdClient>());
        services.AddOptions<EtcdClientOptions>().ValidateOnStart();
        services.TryAddSingleton(static s => new EtcdClient(
            s.GetRequiredService<IOptions<EtcdClientOptions>>().Value,
            s.GetRequiredService<ILoggerFactory>(),
            s.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider)));
        services.TryAddSingleton(static s =>
        {
            var client = new Lazy<EtcdClient>(s.GetRequiredService<EtcdClient>, LazyThreadSafetyMode.PublicationOnly);
            if (s.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints.Count > 0)
            {
                // Made before those who use it, and so disposed after them.
                _ = client.Value;
            }

            return client;
        });
        services.TryAddSingleton<LayoutCatalog>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, UnknownSettings>());
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
