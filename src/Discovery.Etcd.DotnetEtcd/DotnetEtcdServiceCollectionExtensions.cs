using System.Diagnostics.Metrics;
using Discovery.Etcd;
using Discovery.Etcd.DotnetEtcd;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using dotnet_etcd.interfaces;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds dotnet-etcd's client to an application.</summary>
public static class DotnetEtcdServiceCollectionExtensions
{
    /// <summary>
    /// Adds dotnet-etcd's <see cref="IEtcdClient"/> over the application's <see cref="EtcdClient"/>: its endpoints, failover, user, TLS and
    /// watches. One is to be registered, as <c>AddEtcdClient</c>, <c>AddEtcdRegistration</c> and <c>AddEtcdDiscovery</c> of
    /// Discovery.AspNetCore do from the section <c>Etcd</c>; without that package, use the overload that sets its options.
    /// </summary>
    /// <remarks>
    /// <para>
    /// <see cref="IEtcdClient"/> and its <see cref="IWatchManager"/> are singletons that end with the container. An <see cref="IEtcdClient"/>
    /// that was registered before stays, e.g. a test's.
    /// </para>
    /// <para>
    /// Its <c>Watch…</c> methods survive broken streams, lost members, expired tokens, refusals and restored clusters; see the package's
    /// README for what a callback is told. Its <c>LeaseKeepAlive</c> methods are dotnet-etcd's own and end at the first failure: to hold a
    /// lease, use <see cref="EtcdClient.KeepLease"/>.
    /// </para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddDotnetEtcd(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.TryAddSingleton(static s => DotnetEtcdClient.CreateWatchManager(FindClient(s), LoggersOf(s)));
        services.TryAddSingleton(static s => DotnetEtcdClient.Create(FindClient(s), s.GetRequiredService<IWatchManager>()));
        return services;
    }

    /// <summary>
    /// Adds dotnet-etcd's <see cref="IEtcdClient"/>, and an <see cref="EtcdClient"/> for it where none is registered yet. For applications
    /// that do not use Discovery.AspNetCore, whose <c>AddEtcdClient</c> reads the section <c>Etcd</c>.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options of the <see cref="EtcdClient"/>. Where <c>AddEtcdClient</c> is called too, call it first.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddDotnetEtcd(this IServiceCollection services, Action<EtcdClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddOptions<EtcdClientOptions>().Configure(configure);
        services.TryAddSingleton(static s => new EtcdClient(
            s.GetRequiredService<IOptions<EtcdClientOptions>>().Value, LoggersOf(s), meterFactory: s.GetService<IMeterFactory>()));
        return services.AddDotnetEtcd();
    }

    /// <summary>
    /// Adds dotnet-etcd's <see cref="IEtcdClient"/> and its <see cref="IWatchManager"/> for a named cluster, both keyed by its name, over the
    /// <see cref="EtcdClient"/> with that key, which <c>AddKeyedEtcdClient</c> of Discovery.AspNetCore adds.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="name">The cluster's name, as for <c>AddKeyedEtcdClient</c>.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedDotnetEtcd(this IServiceCollection services, string name)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(name);
        services.TryAddKeyedSingleton(
            name, static (s, key) => DotnetEtcdClient.CreateWatchManager(FindKeyedClient(s, key), s.GetKeyedService<ILoggerFactory>(key) ?? LoggersOf(s)));
        services.TryAddKeyedSingleton(
            name, static (s, key) => DotnetEtcdClient.Create(FindKeyedClient(s, key), s.GetRequiredKeyedService<IWatchManager>(key)));
        return services;
    }

    private static EtcdClient FindKeyedClient(IServiceProvider services, object? key)
        => services.GetKeyedService<EtcdClient>(key) ?? throw new InvalidOperationException(
            $"AddKeyedDotnetEtcd(\"{key}\") found no EtcdClient with this key to build upon: call builder.Services.AddKeyedEtcdClient(\"{key}\") of "
            + "the package Discovery.AspNetCore, or AddKeyedSingleton with an EtcdClient of your own.");

    private static EtcdClient FindClient(IServiceProvider services) => services.GetService<EtcdClient>() ?? throw new InvalidOperationException(
        "AddDotnetEtcd() found no EtcdClient to build upon: call builder.Services.AddEtcdClient() of the package Discovery.AspNetCore, which reads "
        + "the section Etcd, or AddDotnetEtcd(etcd => etcd.Endpoints = [\"http://10.0.0.1:2379\"]).");

    private static ILoggerFactory LoggersOf(IServiceProvider services) => services.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
}
