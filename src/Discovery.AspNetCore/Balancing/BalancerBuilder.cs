using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing;

/// <summary>
/// Puts the balancer of a service together: who is not draining, this client's subset of them, the healthy among these, their weights,
/// own zone first, and the policy's picker on top.
/// </summary>
internal static class BalancerBuilder
{
    /// <summary>Builds a balancer from the instances' state at this moment, and sets their weights.</summary>
    /// <param name="all">The instances that may be called at all.</param>
    /// <param name="context">What the instances share.</param>
    /// <param name="policy">See <see cref="PolicyCatalog"/>.</param>
    public static Balancer Build(IReadOnlyList<InstanceState> all, InstanceContext context, IBalancingPolicy policy)
    {
        var options = context.Options;
        var now = context.ReadClock();
        List<InstanceState> staying = [.. all.Where(i => !i.Record.IsDraining)];
        List<InstanceState> draining = [.. all.Where(i => i.Record.IsDraining)];
        if (staying.Count == 0)
        {
            // Those about to stop still answer, which is better than no answer.
            (staying, draining) = (draining, staying);
        }

        var (subset, outside) = Subset.Choose(staying, options.SubsetSize, options.ClientId ?? Environment.MachineName);
        var (healthy, ejected) = HealthFilter.Split(subset, options.Ejection, now);
        var rebuildAfter = Sooner(SlowStart.Apply(subset, context, now), HealthFilter.NextChange(subset, context, now));

        var zones = ZoneSplit.Of(healthy, options);
        if (zones.DependsOnLatency)
        {
            rebuildAfter = Sooner(rebuildAfter, ZoneSplit.ReviewInterval);
        }

        // A call that cannot connect stays within the subset, or a fault of the network would have each client dial everybody.
        InstanceState[][] tiers = [[.. zones.SameZone], [.. zones.OtherZones], [.. ejected], .. outside.Count == 0 ? [[.. draining]] : Array.Empty<InstanceState[]>()];
        return new Balancer(PickerOf(zones.SameZone, policy), PickerOf(zones.OtherZones, policy), zones.SameZoneShare, tiers, rebuildAfter);
    }

    private static InstancePicker? PickerOf(List<InstanceState> instances, IBalancingPolicy policy)
        => instances.Count == 0 ? null : policy.CreatePicker(instances);

    private static TimeSpan? Sooner(TimeSpan? a, TimeSpan? b) => a is null || b < a ? b : a;
}
