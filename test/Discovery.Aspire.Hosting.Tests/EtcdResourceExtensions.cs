using Aspire.Hosting.ApplicationModel;

namespace Discovery.Aspire.Hosting.Tests;

internal static class EtcdResourceExtensions
{
    /// <summary>Gives the resource the address that it has once its container runs.</summary>
    public static void Allocate(this EtcdResource etcd, string host, int port)
    {
        var endpoint = etcd.Annotations.OfType<EndpointAnnotation>().Single();
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, host, port);
    }
}
