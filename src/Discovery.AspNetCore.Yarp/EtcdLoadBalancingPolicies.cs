namespace Discovery.AspNetCore;

/// <summary>The names of this library's load balancing policies for YARP.</summary>
public static class EtcdLoadBalancingPolicies
{
    /// <summary>
    /// The instance that is expected to answer first, by measured latency, requests under way and weight; the own zone first; those that fail
    /// are left out for a while, and new ones start slowly. Set in <see cref="EtcdDiscoveryOptions"/>, as for this library's own clients.
    /// </summary>
    public const string LeastLoad = "EtcdLeastLoad";
}
