using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>Decides which instances are left out, given how many that would be.</summary>
internal static class HealthFilter
{
    public static (List<InstanceState> Healthy, List<InstanceState> Ejected) Split(
        IReadOnlyList<InstanceState> instances, EjectionOptions options, long now)
    {
        List<InstanceState> failing = [.. instances.Where(i => i.Health.WantsEjection(now))];
        var isPanic = (instances.Count - failing.Count) * 100 < options.PanicThresholdPercent * instances.Count;
        if (failing.Count == 0 || isPanic)
        {
            return ([.. instances], []);
        }

        // The longest ejections stand for the most failures: if the cap spares some, it spares the others.
        var ejected = failing.OrderByDescending(i => i.Health.EjectedUntil).Take(Cap(instances.Count, options)).ToHashSet();
        return ([.. instances.Where(i => !ejected.Contains(i))], [.. ejected]);
    }

    /// <summary>How long until the first ejection is over.</summary>
    public static TimeSpan? NextChange(IReadOnlyList<InstanceState> instances, InstanceContext context, long now)
    {
        var next = instances.Where(i => i.Health.WantsEjection(now)).Select(i => (long?)i.Health.EjectedUntil).Min();
        return next is null ? null : context.ToTime(next.Value - now + 1);
    }

    private static int Cap(int count, EjectionOptions options)
    {
        var cap = count * options.MaxEjectedPercent / 100;
        return options.MaxEjectedPercent == 0 ? 0 : Math.Clamp(cap, Math.Min(1, count - 1), count);
    }
}
