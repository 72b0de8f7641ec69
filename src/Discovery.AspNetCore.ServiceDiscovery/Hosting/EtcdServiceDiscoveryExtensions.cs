using Discovery.AspNetCore;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.ServiceDiscovery.Hosting;
using Discovery.AspNetCore.ServiceDiscovery.Providers;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.ServiceDiscovery;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds etcd to Microsoft.Extensions.ServiceDiscovery.</summary>
public static class EtcdServiceDiscoveryExtensions
{
    /// <summary>
    /// Resolves names such as <c>http://greeter</c> by etcd. Providers are asked in the order in which they were added: what stands in the
    /// configuration (section <c>Services</c>, as Aspire writes it) comes before etcd after <c>AddServiceDiscovery</c>, and DNS is always last.
    /// Calling it again adds nothing but options.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options; wins over the section <c>Etcd:ServiceDiscovery</c>.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddEtcdServiceEndpointProvider(
        this IServiceCollection services, Action<EtcdServiceEndpointProviderOptions>? configure = null)
    {
        services.AddServiceDiscoveryCore();
        EtcdServiceCollectionExtensions.AddDiscovery(services);
        if (services.All(static d => d.ServiceType != typeof(ServiceNameMap)))
        {
            AddProvider(services);
        }

        return configure is null ? services : services.Configure(configure);
    }

    private static void AddProvider(IServiceCollection services)
    {
        EtcdUse.Of(services).Lookups.Add(static s => s.GetRequiredService<IOptions<EtcdServiceEndpointProviderOptions>>().Value.Enabled);
        services.AddSingleton(new PackageSettings(ConfigureServiceEndpointProvider.Name, ConfigureServiceEndpointProvider.Shape));
        services.AddOptions<EtcdServiceEndpointProviderOptions>().ValidateOnStart();

        // Before what code set until now: code wins over the configuration.
        services.Insert(0, ServiceDescriptor.Singleton<IConfigureOptions<EtcdServiceEndpointProviderOptions>, ConfigureServiceEndpointProvider>());
        services.AddSingleton<IValidateOptions<EtcdServiceEndpointProviderOptions>, ConfigureServiceEndpointProvider>();
        services.AddSingleton<ServiceNameMap>();
        services.AddSingleton(static s => new EndpointList(
            CallableInstances.Create(s),
            s.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>(),
            s.GetRequiredService<IOptions<EtcdServiceEndpointProviderOptions>>()));
        services.AddKeyedSingleton(typeof(EtcdServiceEndpointProviderFactory), static (s, _) => FeedCatalog.Create(
            s, s.GetRequiredService<IOptions<EtcdServiceEndpointProviderOptions>>().Value.MinChangeInterval));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IServiceEndpointProviderFactory, EtcdServiceEndpointProviderFactory>());
    }
}
