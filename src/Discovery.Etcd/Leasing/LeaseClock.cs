namespace Discovery.Etcd.Leasing;

/// <summary>
/// When a lease runs out, by our own account: its time to live from the moment the last request that renewed it was sent. That moment is
/// earlier than when etcd counts from, so what we hold for lost may still live for an instant, never the other way round.
/// </summary>
internal sealed class LeaseClock(TimeProvider time)
{
    // Clocks are corrected by less; machines that slept come back later than that.
    private static readonly TimeSpan PauseThreshold = TimeSpan.FromSeconds(1);

    private long _renewedAt = time.GetTimestamp();
    private long _seenAt = time.GetTimestamp();
    private DateTimeOffset _seenWall = time.GetUtcNow();

    public TimeSpan TimeToLive { get; private set; }

    /// <summary>What is left of the lease; zero when it is over.</summary>
    public TimeSpan Remaining
    {
        get
        {
            var left = TimeToLive - time.GetElapsedTime(Volatile.Read(ref _renewedAt));
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>When to renew: at a third of the time to live, so that two renewals may fail.</summary>
    public bool IsRenewalDue => time.GetElapsedTime(Volatile.Read(ref _renewedAt)) >= TimeToLive / 3;

    /// <summary>The lease was renewed by a request sent at this moment.</summary>
    public void Renewed(long sentAt, TimeSpan timeToLive)
    {
        TimeToLive = timeToLive;
        Volatile.Write(ref _renewedAt, sentAt);
    }

    /// <summary>
    /// Whether the machine slept since the last look: then the wall clock moved on and the monotonic one, on most systems, did not.
    /// </summary>
    public bool WasPaused()
    {
        var slept = time.GetUtcNow() - _seenWall - time.GetElapsedTime(_seenAt);
        _seenWall = time.GetUtcNow();
        _seenAt = time.GetTimestamp();
        return slept > PauseThreshold;
    }
}
