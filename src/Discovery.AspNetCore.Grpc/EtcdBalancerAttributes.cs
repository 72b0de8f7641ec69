using Grpc.Net.Client.Balancer;

namespace Discovery.AspNetCore;

/// <summary>
/// What the addresses of <c>etcd:///</c> channels say of their instances (<see cref="BalancerAddress.Attributes"/>), for a load balancer of your
/// own. Those of Grpc.Net.Client look at none of it.
/// </summary>
public static class EtcdBalancerAttributes
{
    /// <summary>The share of calls relative to the other instances; see <see cref="ServiceInstance.Weight"/>.</summary>
    public static readonly BalancerAttributesKey<int> Weight = new("etcd-weight");

    /// <summary>The availability zone; absent where the record names none.</summary>
    public static readonly BalancerAttributesKey<string> Zone = new("etcd-zone");
}
