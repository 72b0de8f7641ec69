using System.Globalization;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Pools;
using Grpc.Core;
using Grpc.Net.Client.Balancer;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Resolving;

/// <summary>Makes addresses of a service's instances, for the balancing of Grpc.Net.Client.</summary>
internal sealed class AddressList(CallableInstances callable, IOptionsMonitor<EtcdDiscoveryOptions> options)
{
    /// <summary>
    /// What a call names as its authority, and over TLS expects in the certificate, instead of host and port of the address. The key of
    /// Grpc.Net.Client is internal, but keys are equal by their names.
    /// </summary>
    private static readonly BalancerAttributesKey<string> HostOverride = new("HostOverride");

    /// <summary>The addresses of a service, or why there are none.</summary>
    /// <param name="snapshot">The service.</param>
    /// <param name="scheme">What the channel's credentials ask for: <c>http</c> or <c>https</c>.</param>
    public ResolverResult Create(ServiceSnapshot snapshot, string scheme)
    {
        var settings = options.Get(snapshot.ServiceName);
        List<BalancerAddress> addresses =
        [
            .. callable.Of(snapshot, endpointName: null, [scheme]).Where(static i => i.MaySpeakHttp2).Select(i => Create(i, scheme, settings)),
        ];
        return addresses.Count > 0
            ? ResolverResult.ForResult(addresses)
            : ResolverResult.ForFailure(new Status(StatusCode.Unavailable, Explain(snapshot, scheme)));
    }

    private static BalancerAddress Create(ServiceInstance instance, string scheme, EtcdDiscoveryOptions settings)
    {
        var address = new BalancerAddress(instance.Host, instance.Port);
        address.Attributes.Set(EtcdBalancerAttributes.Weight, instance.Weight);
        if (instance.Zone is { } zone)
        {
            address.Attributes.Set(EtcdBalancerAttributes.Zone, zone);
        }

        var service = ServiceAuthority.BaseAddress(scheme, instance.ServiceName).IdnHost;
        var setting = scheme == Uri.UriSchemeHttps ? settings.TlsTargetHost : TlsHandshake.Service;
        if (TlsHandshake.OtherHostOf(setting, instance.Host, service) is { } host)
        {
            address.Attributes.Set(HostOverride, host);
        }

        return address;
    }

    private static string Explain(ServiceSnapshot snapshot, string scheme)
        => snapshot.Instances.Count == 0
            ? $"Service '{snapshot.ServiceName}' has no instance in etcd at '{snapshot.Prefix}'. Is it registered by this name, in this case, and in "
                + "the same layout (Etcd:Discovery:Layout)?"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"None of the {snapshot.Instances.Count} instances of service '{snapshot.ServiceName}' can be called: the channel's credentials ask for {scheme}, gRPC asks for HTTP/2, and Etcd:Discovery:Select, AllowedNetworks, AllowedPorts and AllowLoopback count too.");
}
