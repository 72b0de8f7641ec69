using System.Net;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Feeds;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Providers;

/// <summary>Makes endpoints of the instances that meet a request.</summary>
internal sealed class EndpointList(
    CallableInstances callable, IOptionsMonitor<EtcdDiscoveryOptions> discovery, IOptions<EtcdServiceEndpointProviderOptions> options)
{
    /// <summary>The endpoints, all of the first scheme of the request that any instance supports.</summary>
    public List<ServiceEndpoint> Create(ServiceSnapshot snapshot, EndpointRequest request)
        => callable.Of(snapshot, request.Query.EndpointName, request.Schemes).ConvertAll(instance => Create(instance, request));

    private static EndPoint Dial(ServiceInstance instance)
        => instance.Scheme is { } scheme ? new UriEndPoint(new Uri($"{scheme}://{instance.Address}"))
            : IPAddress.TryParse(instance.Host, out var address) ? new IPEndPoint(address, instance.Port)
            : new DnsEndPoint(instance.Host, instance.Port);

    private ServiceEndpoint Create(ServiceInstance instance, EndpointRequest request)
    {
        var endpoint = ServiceEndpoint.Create(Dial(instance));
        endpoint.Features.Set<IServiceInstanceFeature>(new InstanceFeature(instance));
        var host = HostOf(instance, request) ?? (options.Value.ShouldApplyHostNameMetadata(endpoint) ? request.Query.ServiceName : null);
        if (host is not null)
        {
            endpoint.Features.Set<IHostNameFeature>(new HostNameFeature(host));
        }

        return endpoint;
    }

    /// <summary>Over TLS the host decides which certificate is accepted, and the address would be none that certificates bear.</summary>
    private string? HostOf(ServiceInstance instance, EndpointRequest request)
        => (instance.Scheme ?? (request.Schemes is [var first, ..] ? first : null)) == Uri.UriSchemeHttps
            ? TlsHandshake.OtherHostOf(discovery.Get(request.ServiceName).TlsTargetHost, instance.Host, request.Query.ServiceName)
            : null;

    private sealed class InstanceFeature(ServiceInstance instance) : IServiceInstanceFeature
    {
        public ServiceInstance Instance => instance;
    }

    private sealed class HostNameFeature(string hostName) : IHostNameFeature
    {
        public string HostName => hostName;
    }
}
