namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Sets each endpoint's weight: the record's, in ten steps from a tenth upwards while the endpoint is new or was just ejected.
/// </summary>
internal static class SlowStart
{
    private const int Steps = 10;

    /// <returns>How long until the next step.</returns>
    public static TimeSpan? Apply(IReadOnlyList<ServiceEndpoint> endpoints, BalancingContext context, long now)
    {
        var duration = context.ToTicks(context.Options.SlowStart);
        long? next = null;
        foreach (var endpoint in endpoints)
        {
            var weight = Math.Max(1, endpoint.Instance.Weight);
            var start = Math.Max(endpoint.JoinedAt ?? long.MinValue, endpoint.Health.EjectedUntil);
            if (duration <= 0 || start == long.MinValue || now - start >= duration)
            {
                endpoint.SetWeight(weight);
                continue;
            }

            var step = (int)(Math.Max(0, now - start) * Steps / duration);
            endpoint.SetWeight(weight * (step + 1.0) / Steps);
            var due = start + (duration * (step + 1) / Steps) - now + 1;
            next = Math.Min(next ?? due, due);
        }

        return next is null ? null : context.ToTime(next.Value);
    }
}
