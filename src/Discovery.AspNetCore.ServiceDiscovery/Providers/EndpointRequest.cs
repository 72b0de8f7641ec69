using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Providers;

/// <summary>What is asked for.</summary>
/// <param name="ServiceName">The service's name in etcd.</param>
/// <param name="Query">The name as it was asked for.</param>
/// <param name="Schemes">The schemes that endpoints may have, those to be preferred first; empty for any.</param>
internal sealed record EndpointRequest(string ServiceName, ServiceEndpointQuery Query, IReadOnlyList<string> Schemes);
