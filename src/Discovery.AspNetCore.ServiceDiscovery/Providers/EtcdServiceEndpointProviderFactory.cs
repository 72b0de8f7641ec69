using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore.Feeds;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Providers;

/// <summary>Makes a provider for each name that etcd may know. Does not ask etcd.</summary>
internal sealed class EtcdServiceEndpointProviderFactory(
    ServiceNameMap names,
    [FromKeyedServices(typeof(EtcdServiceEndpointProviderFactory))] FeedCatalog feeds,
    EndpointList endpoints,
    IServiceDirectory directory,
    IOptions<EtcdServiceEndpointProviderOptions> options,
    IOptions<ServiceDiscoveryOptions> schemes,
    ILogger<EtcdServiceEndpointProviderOptions> logger) : IServiceEndpointProviderFactory
{
    public bool TryCreateProvider(ServiceEndpointQuery query, [NotNullWhen(true)] out IServiceEndpointProvider? provider)
    {
        provider = options.Value.Enabled && names.Find(query.ServiceName) is { } serviceName
            ? new EtcdServiceEndpointProvider(
                new EndpointRequest(serviceName, query, schemes.Value.ApplyAllowedSchemes(query.IncludedSchemes)),
                feeds,
                endpoints,
                directory,
                options.Value.WhenEmpty,
                logger)
            : null;
        return provider is not null;
    }
}
