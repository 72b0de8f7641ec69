using System.Globalization;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>Makes a destination of each instance of a service.</summary>
internal sealed class DestinationFactory(CallableInstances callable, IOptionsMonitor<EtcdDiscoveryOptions> options)
{
    /// <summary>Adds the destinations of a service.</summary>
    public void Add(ServiceDestination service, ServiceSnapshot snapshot, Dictionary<string, DestinationConfig> destinations)
    {
        var settings = options.Get(service.ServiceName);

        // An instance may be there twice, by http and by https; the one that clients use by default is taken, or else what there is.
        var isHttps = settings.Scheme == Uri.UriSchemeHttps;
        IReadOnlyList<string> schemes = service.Schemes.Count > 0 ? service.Schemes
            : isHttps ? [Uri.UriSchemeHttps, Uri.UriSchemeHttp] : [Uri.UriSchemeHttp, Uri.UriSchemeHttps];
        foreach (var instance in callable.Of(snapshot, service.EndpointName, schemes))
        {
            var scheme = instance.Scheme ?? schemes[0];
            destinations[NameOf(service, instance)] = service.Config with
            {
                Address = $"{scheme}://{instance.Address}{service.Path}",
                Health = HealthOf(service.Config.Health, scheme, instance),
                Host = service.Config.Host ?? HostOf(scheme, instance, service.ServiceName, settings),
                Metadata = MetadataOf(service, instance),
            };
        }
    }

    /// <summary>Counters and health belong to the name, so it must be that of a process: one that was restarted begins anew.</summary>
    private static string NameOf(ServiceDestination service, ServiceInstance instance)
        => instance.InstanceId is { } id ? $"{service.Name}[{instance.Address}/{id}]" : $"{service.Name}[{instance.Address}]";

    /// <summary>
    /// The service's name, as all other clients send it, for servers may answer to that alone (AllowedHosts). Over TLS it decides on which
    /// certificate is accepted too, and the address would be none that certificates bear.
    /// </summary>
    private static string? HostOf(string scheme, ServiceInstance instance, string serviceName, EtcdDiscoveryOptions settings)
        => AuthorityOf(serviceName) is var name && scheme == Uri.UriSchemeHttps
            ? TlsHandshake.OtherHostOf(settings.TlsTargetHost, instance.Host, name)
            : name;

    /// <summary>The name as it stands, in its own case, where a host may be called so; else the host that the service has for all other clients.</summary>
    private static string AuthorityOf(string serviceName)
        => ServiceAuthority.BaseAddress(Uri.UriSchemeHttps, serviceName).IdnHost is var host && host.Equals(serviceName, StringComparison.OrdinalIgnoreCase)
            ? serviceName
            : host;

    /// <summary>The address for health probes, at the instance: with a port of its own where the configuration has one.</summary>
    private static string? HealthOf(string? health, string scheme, ServiceInstance instance)
    {
        if (!Uri.TryCreate(health, UriKind.Absolute, out var uri))
        {
            return health;
        }

        if (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps)
        {
            return $"{scheme}://{instance.Address}{uri.PathAndQuery}";
        }

        return uri.IsDefaultPort
            ? $"{uri.Scheme}://{instance.Address}{uri.PathAndQuery}"
            : new UriBuilder(uri) { Host = instance.Host }.Uri.ToString();
    }

    private static Dictionary<string, string> MetadataOf(ServiceDestination service, ServiceInstance instance)
    {
        var metadata = service.Config.Metadata is { } own
            ? new Dictionary<string, string>(own, StringComparer.Ordinal) : new Dictionary<string, string>(StringComparer.Ordinal);
        metadata.TryAdd(EtcdDestinationMetadata.Service, service.ServiceName);
        metadata.TryAdd(EtcdDestinationMetadata.Weight, instance.Weight.ToString(CultureInfo.InvariantCulture));
        (string Name, string? Value)[] others =
        [
            (EtcdDestinationMetadata.InstanceId, instance.InstanceId),
            (EtcdDestinationMetadata.Zone, instance.Zone),
            (EtcdDestinationMetadata.Version, instance.Version),
            (EtcdDestinationMetadata.Protocols, InstanceMetadata.AsText(instance.Protocols)),
            (EtcdDestinationMetadata.Tags, instance.Tags.Count == 0 ? null : string.Join(',', instance.Tags)),
        ];
        foreach (var (name, value) in others)
        {
            if (value is not null)
            {
                metadata.TryAdd(name, value);
            }
        }

        return metadata;
    }
}
