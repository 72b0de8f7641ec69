using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore;

/// <summary>A feature of each <see cref="ServiceEndpoint"/> that comes from etcd: the whole record, with weight, zone, version and metadata.</summary>
public interface IServiceInstanceFeature
{
    /// <summary>The instance behind the endpoint.</summary>
    ServiceInstance Instance { get; }
}
