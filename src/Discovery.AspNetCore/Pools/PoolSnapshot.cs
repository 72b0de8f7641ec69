using Discovery.AspNetCore.Balancing;

namespace Discovery.AspNetCore.Pools;

/// <summary>What calls go by until the next change: immutable, swapped whole.</summary>
/// <param name="Snapshot">The service as the directory has it.</param>
/// <param name="Instances">The instances that may be called.</param>
/// <param name="Refused">How many instances may not be dialled.</param>
/// <param name="Balancers">Choose for each kind of call.</param>
internal sealed record PoolSnapshot(ServiceSnapshot Snapshot, IReadOnlyList<InstanceState> Instances, int Refused, BalancerSet Balancers)
{
    /// <summary>The instances by address and by instance id; made by the first call that asks for an instance, for few ever do.</summary>
    private ILookup<string, InstanceState> ByName => field ??= Instances
        .SelectMany(static e => e.Record.InstanceId is { } id ? [(id, e), (e.Record.Address, e)] : new[] { (Name: e.Record.Address, Instance: e) })
        .ToLookup(static e => e.Name, static e => e.Instance, StringComparer.Ordinal);

    /// <summary>The balancer for a call; null if no instance meets its needs.</summary>
    public Balancer? For(in CallNeeds needs, string? hashKey) => Balancers.For(needs, hashKey);

    /// <summary>The balancer for a call for which nobody is left in its share of a split; null if there is no other.</summary>
    public Balancer? ForAnyShare(in CallNeeds needs) => Balancers.ForAnyShare(needs);

    /// <summary>
    /// Finds an instance by its id or its address that supports calls of a scheme. Ports of one process share its id: then one that speaks the call's
    /// protocol is meant.
    /// </summary>
    public InstanceState? Find(string instance, CallNeeds needs)
        => ByName[instance].FirstOrDefault(e => BalancerSet.Fits(e, needs)) ?? ByName[instance].FirstOrDefault(e => e.Record.Supports(needs.Scheme));

    /// <summary>Whether there is such an instance, whatever calls it supports.</summary>
    public bool Has(string instance) => ByName.Contains(instance);
}
