namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Estimates an endpoint's time to response headers from the calls that were answered, from those that gave up waiting, and from those
/// that still wait. Updates may race: a lost one is replaced by the next call's, and a lock would cost more than it saves.
/// </summary>
internal sealed class EndpointLatency(BalancingContext context)
{
    private readonly double _perTick = 1 / (10 * context.TicksPerSecond);
    private double _ticks;
    private long _updatedAt;
    private long _progressAt;

    /// <summary>The first of possibly many waiting calls begins to wait.</summary>
    public void OnWaitBegins(long now) => Volatile.Write(ref _progressAt, now);

    /// <summary>A call was answered.</summary>
    public void OnAnswer(long startedAt, long now)
    {
        Volatile.Write(ref _progressAt, now);
        Observe(now - startedAt, now);
    }

    /// <summary>A call ended without an answer: it would have taken longer still, so the time only ever raises the estimate.</summary>
    public void OnNoAnswer(long startedAt, long now)
    {
        if (now - startedAt > Decayed(now))
        {
            Observe(now - startedAt, now);
        }
    }

    /// <summary>The estimate in ticks of the clock.</summary>
    /// <param name="now">The time.</param>
    /// <param name="unanswered">How many calls wait.</param>
    public double At(long now, int unanswered)
    {
        var estimate = Decayed(now);
        return unanswered > 0 ? Math.Max(estimate, now - Volatile.Read(ref _progressAt)) : estimate;
    }

    private void Observe(double ticks, long now)
    {
        var estimate = Decayed(now);
        Volatile.Write(ref _ticks, ticks >= estimate ? ticks : estimate + ((ticks - estimate) * 0.1));
        Volatile.Write(ref _updatedAt, now);
    }

    private double Decayed(long now) => Volatile.Read(ref _ticks) * Math.Exp(-Math.Max(0, now - Volatile.Read(ref _updatedAt)) * _perTick);
}
