using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>
/// Sets each instance's weight: the record's, in ten steps from a tenth upwards while the instance is new or was just ejected.
/// </summary>
internal static class SlowStart
{
    private const int Steps = 10;

    /// <returns>How long until the next step.</returns>
    public static TimeSpan? Apply(IReadOnlyList<InstanceState> instances, InstanceContext context, long now)
    {
        var duration = context.ToTicks(context.Options.SlowStart);
        long? next = null;
        foreach (var instance in instances)
        {
            var weight = Math.Max(1, instance.Record.Weight);
            var start = Math.Max(instance.JoinedAt ?? long.MinValue, instance.Health.EjectedUntil);
            if (duration <= 0 || start == long.MinValue || now - start >= duration)
            {
                instance.SetWeight(weight);
                continue;
            }

            var step = (int)(Math.Max(0, now - start) * Steps / duration);
            instance.SetWeight(weight * (step + 1.0) / Steps);
            var due = start + (duration * (step + 1) / Steps) - now + 1;
            next = Math.Min(next ?? due, due);
        }

        return next is null ? null : context.ToTime(next.Value);
    }
}
