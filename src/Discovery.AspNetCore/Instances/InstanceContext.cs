using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Instances;

/// <summary>What the instances of one service share: the clock, the settings, the usual latency, and who is notified of an ejection. One per pool.</summary>
internal sealed partial class InstanceContext
{
    private readonly long _resolution;
    private long _now;
    private long _sampledAt;
    private int _samples;
    private double _usualLatency;

    public InstanceContext(TimeProvider clock, BalancingOptions options, ILogger logger)
    {
        Clock = clock;
        Options = options;
        Logger = logger;
        TicksPerSecond = clock.TimestampFrequency;
        _resolution = Math.Max(1, clock.TimestampFrequency / 1000);
        RecentTicks = clock.TimestampFrequency / 4;
        LongAgoTicks = (long)(10 * LatencyEstimate.ForgetSeconds * clock.TimestampFrequency);
        _now = clock.GetTimestamp();
        _sampledAt = _now - _resolution;
    }

    /// <summary>
    /// Set by the pool: an instance was ejected, so the balancer must be built again. Called on the thread of the call that failed; must
    /// return at once and may be called by several threads.
    /// </summary>
    public Action? Changed { get; set; }

    public TimeProvider Clock { get; }

    public BalancingOptions Options { get; }

    public double TicksPerSecond { get; }

    /// <summary>
    /// The time of the latest call or answer, to a millisecond, because reading the clock costs more than the whole pick. Without calls it
    /// does not advance; the first pick after a pause sees an old time, which does no harm.
    /// </summary>
    public long CoarseNow => Volatile.Read(ref _now);

    /// <summary>
    /// Up to which age an instance's latency estimate is taken as it stands: a quarter of a second, in which next to nothing is forgotten.
    /// </summary>
    public long RecentTicks { get; }

    /// <summary>How old an estimate is of which nothing is left.</summary>
    public long LongAgoTicks { get; }

    /// <summary>
    /// A millisecond, added to every latency where instances are compared: smaller differences are the scheduler's noise, and would make one of
    /// several fast and equal instances look twice as good as the others.
    /// </summary>
    public double NoiseTicks => _resolution;

    /// <summary>The time to response headers that is usual in this service, in ticks; 0 before the first answer.</summary>
    public double UsualLatency => Volatile.Read(ref _usualLatency);

    private ILogger Logger { get; }

    /// <summary>
    /// Reads the clock. The shared field is written once a millisecond at most, or every core would fight for its cache line.
    /// </summary>
    public long ReadClock()
    {
        var now = Clock.GetTimestamp();
        if (now - Volatile.Read(ref _now) >= _resolution)
        {
            Volatile.Write(ref _now, now);
        }

        return now;
    }

    /// <summary>
    /// Learns what latency is usual, from at most one answer a millisecond for the same reason: an average of the last hundred that it
    /// looked at.
    /// </summary>
    public void OnAnswer(long ticks, long now)
    {
        if (now - Volatile.Read(ref _sampledAt) >= _resolution)
        {
            Volatile.Write(ref _sampledAt, now);
            var samples = Math.Min(_samples + 1, 100);
            _samples = samples;
            var usual = UsualLatency;
            Volatile.Write(ref _usualLatency, usual + ((ticks - usual) / samples));
        }
    }

    public long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * TicksPerSecond);

    public TimeSpan ToTime(double ticks) => TimeSpan.FromSeconds(ticks / TicksPerSecond);

    public void OnEjected(InstanceState instance, string reason, long ticks)
    {
        Log.Ejected(Logger, instance.Record.ServiceName, instance.Record.Address, ToTime(ticks), reason);
        Changed?.Invoke();
    }

    private static partial class Log
    {
        [LoggerMessage(2201, LogLevel.Warning, "Instance {Address} of service {Service} is ejected for {Duration}: {Reason}.")]
        public static partial void Ejected(ILogger logger, string service, string address, TimeSpan duration, string reason);
    }
}
