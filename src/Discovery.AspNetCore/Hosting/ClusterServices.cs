using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.AspNetCore.Registration.Health;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// The services of one named cluster, keyed by its name: what is a singleton of the default cluster is one of each named cluster too. Those that
/// both have alike are made here, of what belongs to their cluster: not every container hands a key on to what a keyed service asks for.
/// </summary>
internal static class ClusterServices
{
    /// <summary>The loggers of the library's categories, which never throw, in place of those that the application's factory makes.</summary>
    public static void AddLoggers(IServiceCollection services)
    {
        services.TryAddSingleton<ILogger<EtcdDiscoveryOptions>>(static s => LoggerOf<EtcdDiscoveryOptions>(s.GetRequiredService<ILoggerFactory>()));
        services.TryAddSingleton<ILogger<InstanceState>>(static s => LoggerOf<InstanceState>(s.GetRequiredService<ILoggerFactory>()));
        services.TryAddSingleton<ILogger<IServiceDirectory>>(static s => LoggerOf<IServiceDirectory>(s.GetRequiredService<ILoggerFactory>()));
        services.TryAddSingleton<ILogger<IServiceRegistration>>(static s => LoggerOf<IServiceRegistration>(s.GetRequiredService<ILoggerFactory>()));
    }

    /// <summary>The client and the directory of a named cluster.</summary>
    public static void AddClient(IServiceCollection services, Cluster cluster)
    {
        var name = cluster.Name!;
        services.AddOptions<EtcdClientOptions>(name).ValidateOnStart();
        services.AddKeyedSingleton(name, cluster);
        services.AddKeyedSingleton<ILoggerFactory>(name, (s, _) => new ClusterLoggerFactory(s.GetRequiredService<ILoggerFactory>(), name));
        services.AddKeyedSingleton<ILogger<InstanceState>>(name, (s, _) => LoggerOf<InstanceState>(s.GetRequiredKeyedService<ILoggerFactory>(name)));
        services.AddKeyedSingleton<ILogger<IServiceDirectory>>(name, (s, _) => LoggerOf<IServiceDirectory>(s.GetRequiredKeyedService<ILoggerFactory>(name)));
        services.AddKeyedSingleton<ILogger<IServiceRegistration>>(name, (s, _) => LoggerOf<IServiceRegistration>(s.GetRequiredKeyedService<ILoggerFactory>(name)));
        services.AddKeyedSingleton(name, (s, _) => OptionsOf<EtcdClientOptions>(s, name));
        services.TryAddKeyedSingleton(name, (s, _) => CreateClient(s, cluster));
        services.AddKeyedSingleton(name, (s, _) => Defer(s, cluster));
        services.TryAddKeyedSingleton<IServiceSource>(
            name, (s, _) => CreateSource(s, cluster));
        services.AddKeyedSingleton(name, (s, _) => CreateDirectory(s, cluster));
        services.TryAddKeyedSingleton<IServiceDirectory>(name, (s, _) => s.GetRequiredKeyedService<ServiceDirectory>(name));
    }

    /// <summary>The registration in a named cluster.</summary>
    public static void AddRegistration(IServiceCollection services, Cluster cluster)
    {
        var name = cluster.Name!;
        services.AddOptions<EtcdRegistrationOptions>(name).ValidateOnStart();
        services.TryAddKeyedSingleton(name, (s, _) => OptionsOf<EtcdRegistrationOptions>(s, name));
        services.TryAddKeyedSingleton(name, (s, _) => CreateRegistrationSettings(s, cluster));
        services.TryAddKeyedSingleton(name, (s, _) => CreateRegistration(s, cluster));
        services.TryAddKeyedSingleton<IServiceRegistration>(name, (s, _) => s.GetRequiredKeyedService<RegistrationService>(name));
    }

    /// <exception cref="ArgumentException">The cluster was not needed at the start and has no endpoints.</exception>
    public static EtcdClient CreateClient(IServiceProvider services, Cluster cluster)
    {
        var options = services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get(cluster.OptionsName);
        if (options.Endpoints.Count == 0)
        {
            var registers = services.GetService<EtcdUse>()?.HasRegistration(cluster) ?? false;
            var hints = MissingSettings.OfClient(services.GetRequiredService<IConfiguration>(), cluster, wantsEndpoints: true, isAdded: false, registers);
            var error = string.Join(' ', [.. options.Validate(cluster.Section), .. hints]);
            services.GetRequiredService<MissingEndpoints>().Add(cluster, error);
            throw new ArgumentException(error);
        }

        return new EtcdClient(
            options,
            cluster.GetService<ILoggerFactory>(services),
            services.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider),
            services.GetService<IMeterFactory>(),
            cluster.Name,
            cluster.Section);
    }

    /// <summary>The client for those who may never need it.</summary>
    public static Lazy<EtcdClient> Defer(IServiceProvider services, Cluster cluster)
    {
        var client = new Lazy<EtcdClient>(() => cluster.GetService<EtcdClient>(services), LazyThreadSafetyMode.PublicationOnly);
        if (services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get(cluster.OptionsName).Endpoints.Count > 0)
        {
            // Made before those who use it, and so disposed after them.
            _ = client.Value;
        }

        return client;
    }

    public static EtcdServiceSource CreateSource(IServiceProvider services, Cluster cluster)
        => new(
            cluster.GetService<Lazy<EtcdClient>>(services),
            cluster.Name,
            () => services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get(cluster.OptionsName).Endpoints.Count > 0);

    public static ServiceDirectory CreateDirectory(IServiceProvider services, Cluster cluster)
        => new(
            cluster.GetService<IServiceSource>(services),
            services.GetRequiredService<DiscoverySettings>(),
            services.GetRequiredService<LayoutCatalog>(),
            services.GetRequiredService<ListingPlanner>(),
            services.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider),
            cluster.GetService<ILogger<IServiceDirectory>>(services),
            services.GetService<DiscoveryMetrics>());

    public static RegistrationSettings CreateRegistrationSettings(IServiceProvider services, Cluster cluster)
        => new(
            cluster,
            cluster.GetService<IOptions<EtcdRegistrationOptions>>(services),
            services.GetRequiredService<IOptionsFactory<EtcdRegistrationOptions>>(),
            services.GetRequiredService<IConfiguration>(),
            cluster.GetService<ILogger<IServiceRegistration>>(services));

    public static RegistrationService CreateRegistration(IServiceProvider services, Cluster cluster)
    {
        var client = cluster.GetService<Lazy<EtcdClient>>(services);
        var time = services.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider);
        var logger = cluster.GetService<ILogger<IServiceRegistration>>(services);
        return new RegistrationService(
            cluster,
            client,
            cluster.GetService<IOptions<EtcdClientOptions>>(services),
            cluster.GetService<RegistrationSettings>(services),
            new RegistrationPlanner(services, services.GetRequiredService<IConfiguration>(), client, services.GetRequiredService<LocalAddresses>(), logger),
            services.GetRequiredService<LayoutCatalog>(),
            new HealthMonitor(services, time, logger),
            time,
            logger,
            services.GetRequiredService<DiscoveryMetrics>(),
            services.GetRequiredService<OwnRegistrations>(),
            services.GetService<IHostApplicationLifetime>());
    }

    private static Logger<T> LoggerOf<T>(ILoggerFactory loggers) => new(new GuardedLoggerFactory(loggers));

    private static IOptions<T> OptionsOf<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] T>(
        IServiceProvider services, string cluster)
        where T : class
        => Options.Create(services.GetRequiredService<IOptionsMonitor<T>>().Get(cluster));
}
