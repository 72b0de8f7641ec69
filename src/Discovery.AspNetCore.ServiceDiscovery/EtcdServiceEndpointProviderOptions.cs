using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore;

/// <summary>
/// How names are resolved by etcd for Microsoft.Extensions.ServiceDiscovery. Bound from <c>Etcd:ServiceDiscovery</c>; what code sets wins.
/// How services are looked up, and which of their instances may be called, is set in <see cref="EtcdDiscoveryOptions"/>.
/// </summary>
public sealed class EtcdServiceEndpointProviderOptions
{
    /// <summary>
    /// Whether etcd is asked. Without it an application needs no etcd for its names: in development, for example, where Aspire's configuration
    /// has them. Default: <see langword="true"/>.
    /// </summary>
    public bool Enabled { get; set; } = true;

    /// <summary>
    /// The service's name in etcd by the host of a URI, where they differ: <c>user-service</c> to <c>UserService</c>. By case alone they may
    /// differ without this for services that a client is added for, or that have settings in <c>Etcd:Discovery:Services</c>; in a URI every
    /// host is in lower case. Default: none.
    /// </summary>
    public IDictionary<string, string> ServiceNames { get; set; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// Whether etcd is asked for those services only that are in <see cref="ServiceNames"/>, that have settings in
    /// <c>Etcd:Discovery:Services</c>, or that a client is added for. All other names are left to DNS without a look into etcd.
    /// Default: <see langword="false"/>.
    /// </summary>
    public bool OnlyListedServices { get; set; }

    /// <summary>What happens where etcd has no instance for a name. Default: <see cref="EmptyServiceBehavior.FallThrough"/>.</summary>
    public EmptyServiceBehavior WhenEmpty { get; set; }

    /// <summary>
    /// Changes of a service that are closer together than this are announced as one, so that a rolling restart does not rebuild what reads the
    /// list for each of its steps. The first one is announced at once. At most a minute. Default: 100 ms.
    /// </summary>
    public TimeSpan MinChangeInterval { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Which endpoints are called under the host name of the URI instead of their own address, beside those with https, where
    /// <see cref="EtcdDiscoveryOptions.TlsTargetHost"/> decides, for the name is that of the certificate. Default: none.
    /// </summary>
    public Func<ServiceEndpoint, bool> ShouldApplyHostNameMetadata { get; set; } = static _ => false;
}
