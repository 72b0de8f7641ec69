using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore;

/// <summary>
/// The names of a destination's metadata (<see cref="DestinationConfig.Metadata"/>). Those that come from etcd are set by the resolver, unless
/// the destination has them itself.
/// </summary>
public static class EtcdDestinationMetadata
{
    /// <summary>The service that a destination stands for, exact and case-sensitive; its address then says the scheme and the path only.</summary>
    public const string Service = "Etcd.Service";

    /// <summary>The id of the process behind the address.</summary>
    public const string InstanceId = "Etcd.InstanceId";

    /// <summary>The weight, which <see cref="EtcdLoadBalancingPolicies.LeastLoad"/> goes by; also of destinations that are not from etcd.</summary>
    public const string Weight = "Etcd.Weight";

    /// <summary>The zone, which <see cref="EtcdLoadBalancingPolicies.LeastLoad"/> goes by; also of destinations that are not from etcd.</summary>
    public const string Zone = "Etcd.Zone";

    /// <summary>The version.</summary>
    public const string Version = "Etcd.Version";

    /// <summary>
    /// What a destination speaks: <c>h1</c>, <c>h2</c> or <c>h1,h2</c>. One without TLS that does not speak the version of HTTP that its cluster sends
    /// is left out, unless no other is left; also of destinations that are not from etcd.
    /// </summary>
    public const string Protocols = "Etcd.Protocols";

    /// <summary>The tags, separated by commas.</summary>
    public const string Tags = "Etcd.Tags";
}
