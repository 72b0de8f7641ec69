namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>Decides which endpoints are left out, given how many that would be.</summary>
internal static class HealthFilter
{
    public static (List<ServiceEndpoint> Healthy, List<ServiceEndpoint> Ejected) Split(
        IReadOnlyList<ServiceEndpoint> endpoints, EjectionOptions options, long now)
    {
        List<ServiceEndpoint> failing = [.. endpoints.Where(e => e.Health.WantsEjection(now))];
        var isPanic = (endpoints.Count - failing.Count) * 100 < options.PanicThresholdPercent * endpoints.Count;
        if (failing.Count == 0 || isPanic)
        {
            return ([.. endpoints], []);
        }

        // The longest ejections stand for the most failures: if the cap spares some, it spares the others.
        var ejected = failing.OrderByDescending(e => e.Health.EjectedUntil).Take(Cap(endpoints.Count, options)).ToHashSet();
        return ([.. endpoints.Where(e => !ejected.Contains(e))], [.. ejected]);
    }

    /// <summary>How long until the first ejection is over.</summary>
    public static TimeSpan? NextChange(IReadOnlyList<ServiceEndpoint> endpoints, BalancingContext context, long now)
    {
        var next = endpoints.Where(e => e.Health.WantsEjection(now)).Select(e => (long?)e.Health.EjectedUntil).Min();
        return next is null ? null : context.ToTime(next.Value - now + 1);
    }

    private static int Cap(int count, EjectionOptions options)
    {
        var cap = count * options.MaxEjectedPercent / 100;
        return options.MaxEjectedPercent == 0 ? 0 : Math.Clamp(cap, Math.Min(1, count - 1), count);
    }
}
