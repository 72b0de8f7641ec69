using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing;

/// <summary>
/// Puts the balancer of a service together: who takes new calls, this client's subset of them, the healthy among these, own zone first, the
/// policy's picker on top, and slow start around it.
/// </summary>
internal static class BalancerBuilder
{
    /// <summary>Builds a balancer from the instances' state at this moment, and reports who is ejected by it.</summary>
    /// <param name="all">The instances that may be called at all.</param>
    /// <param name="context">What the instances share.</param>
    /// <param name="policy">See <see cref="PolicyCatalog"/>.</param>
    public static Balancer Build(IReadOnlyList<InstanceState> all, InstanceContext context, IBalancingPolicy policy)
    {
        var options = context.Options;
        var now = context.ReadClock();
        var (serving, withdrawn) = SplitByNewCalls(InstanceList.Of(all));
        var (subset, outside) = Subset.Choose(serving, options.SubsetSize, options.ClientId ?? Environment.MachineName);
        var health = HealthFilter.Split(subset, options.Ejection, now);
        context.Ejections.Report(health.Ejected, health.Spared, health.Limit, context);

        var zones = ZoneSplit.Of(health.Healthy, context);

        // A call that cannot connect stays within the subset, or a fault of the network would have each client dial everybody.
        IReadOnlyList<InstanceState>[] tiers = [zones.SameZone, zones.OtherZones, health.Ejected, .. outside.Count == 0 ? [withdrawn] : Array.Empty<IReadOnlyList<InstanceState>>()];
        return new Balancer(
            PickerOf(zones.SameZone, policy),
            PickerOf(zones.OtherZones, policy),
            zones,
            SlowStart.Of(health.Healthy, context, now),
            tiers,
            HealthFilter.NextChange(subset, context, now));
    }

    private static (IReadOnlyList<InstanceState> Serving, IReadOnlyList<InstanceState> Withdrawn) SplitByNewCalls(InstanceList all)
    {
        List<InstanceState> withdrawn = [];
        foreach (var instance in all)
        {
            if (!instance.Record.TakesNewCalls)
            {
                withdrawn.Add(instance);
            }
        }

        // Those about to stop still answer, which is better than no answer.
        return withdrawn.Count == 0 || withdrawn.Count == all.Count ? (all, []) : ([.. all.Where(static i => i.Record.TakesNewCalls)], withdrawn);
    }

    private static InstancePicker? PickerOf(IReadOnlyList<InstanceState> instances, IBalancingPolicy policy)
        => instances.Count == 0 ? null : policy.CreatePicker(instances);
}
