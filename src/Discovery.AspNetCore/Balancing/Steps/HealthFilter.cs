using System.Globalization;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>Which instances are left out, given how many that would be.</summary>
/// <param name="Healthy">Those that get calls, those that are spared among them.</param>
/// <param name="Ejected">Those that are left out.</param>
/// <param name="Spared">Those that fail and get calls nevertheless.</param>
/// <param name="Limit">Why they are spared.</param>
internal sealed record HealthFilter(
    IReadOnlyList<InstanceState> Healthy,
    IReadOnlyList<InstanceState> Ejected,
    IReadOnlyList<InstanceState> Spared,
    string Limit)
{
    public static HealthFilter Split(IReadOnlyList<InstanceState> instances, EjectionOptions options, long now)
    {
        List<InstanceState>? failing = null;
        foreach (var instance in instances)
        {
            if (instance.Health.WantsEjection(now))
            {
                (failing ??= []).Add(instance);
            }
        }

        if (failing is null)
        {
            return new HealthFilter(instances, [], [], "");
        }

        var (ejected, spared, limit) = Choose(failing, instances.Count, options);
        if (ejected.Count == 0)
        {
            return new HealthFilter(instances, ejected, spared, limit);
        }

        var isEjected = ejected.ToHashSet();
        var healthy = new List<InstanceState>(instances.Count - ejected.Count);
        foreach (var instance in instances)
        {
            if (!isEjected.Contains(instance))
            {
                healthy.Add(instance);
            }
        }

        return new HealthFilter(healthy, ejected, spared, limit);
    }

    /// <summary>Decides which of those that fail are ejected.</summary>
    /// <param name="failing">All that fail; they are sorted.</param>
    /// <param name="count">How many instances there are with these.</param>
    /// <param name="options">The cap and the panic threshold.</param>
    /// <returns>The ejected and the spared, and why these are spared.</returns>
    public static (IReadOnlyList<InstanceState> Ejected, IReadOnlyList<InstanceState> Spared, string Limit) Choose(
        List<InstanceState> failing, int count, EjectionOptions options)
    {
        if ((count - failing.Count) * 100 < options.PanicThresholdPercent * count)
        {
            return ([], failing, string.Create(
                CultureInfo.InvariantCulture,
                $"fewer than {options.PanicThresholdPercent} % of the instances are healthy (Ejection:PanicThresholdPercent)"));
        }

        // The longest ejections stand for the most failures: if the cap spares some, it spares the others.
        failing.Sort(static (a, b) => b.Health.EjectedUntil.CompareTo(a.Health.EjectedUntil));
        var cap = Math.Min(Cap(count, options), failing.Count);
        return (failing[..cap], failing[cap..], count == 1
            ? "there is no other"
            : string.Create(CultureInfo.InvariantCulture, $"no more than {options.MaxEjectedPercent} % may be ejected (Ejection:MaxEjectedPercent)"));
    }

    /// <summary>How long until the first ejection is over.</summary>
    public static TimeSpan? NextChange(IEnumerable<InstanceState> instances, InstanceContext context, long now)
    {
        var next = long.MaxValue;
        foreach (var instance in instances)
        {
            var until = instance.Health.EjectedUntil;
            if (until > now && until < next)
            {
                next = until;
            }
        }

        return next == long.MaxValue ? null : context.ToTime(next - now + 1);
    }

    private static int Cap(int count, EjectionOptions options)
    {
        var cap = count * options.MaxEjectedPercent / 100;
        return options.MaxEjectedPercent == 0 ? 0 : Math.Clamp(cap, Math.Min(1, count - 1), count);
    }
}
