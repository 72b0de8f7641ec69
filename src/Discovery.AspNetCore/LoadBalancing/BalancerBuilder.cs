namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Puts the balancer of a service together: who is not draining, this client's subset of them, the healthy among these, their weights,
/// own zone first, and the policy's picker on top.
/// </summary>
internal static class BalancerBuilder
{
    /// <summary>Builds a balancer from the endpoints' state at this moment, and sets their weights.</summary>
    /// <param name="all">The endpoints that may be called at all.</param>
    /// <param name="context">What the endpoints share.</param>
    /// <param name="policy">See <see cref="LoadBalancingPolicies"/>.</param>
    public static Balancer Build(IReadOnlyList<ServiceEndpoint> all, BalancingContext context, ILoadBalancingPolicy policy)
    {
        var options = context.Options;
        var now = context.ReadClock();
        List<ServiceEndpoint> staying = [.. all.Where(e => !e.Instance.IsDraining)];
        List<ServiceEndpoint> draining = [.. all.Where(e => e.Instance.IsDraining)];
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

        ServiceEndpoint[][] tiers = [[.. zones.Home], [.. zones.Elsewhere], [.. ejected], [.. outside], [.. draining]];
        return new Balancer(PickerOf(zones.Home, policy), PickerOf(zones.Elsewhere, policy), zones.HomeShare, tiers, rebuildAfter);
    }

    private static EndpointPicker? PickerOf(List<ServiceEndpoint> endpoints, ILoadBalancingPolicy policy)
        => endpoints.Count == 0 ? null : policy.CreatePicker(endpoints);

    private static TimeSpan? Sooner(TimeSpan? a, TimeSpan? b) => a is null || b < a ? b : a;
}
