using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>What the endpoints of one service share: the clock, the settings, and whom to tell of an ejection. One per pool.</summary>
internal sealed partial class BalancingContext
{
    private readonly long _grain;
    private long _now;

    public BalancingContext(TimeProvider clock, BalancingOptions options, ILogger logger)
    {
        Clock = clock;
        Options = options;
        Logger = logger;
        TicksPerSecond = clock.TimestampFrequency;
        _grain = Math.Max(1, clock.TimestampFrequency / 1000);
        _now = clock.GetTimestamp();
    }

    /// <summary>
    /// Set by the pool: an endpoint was ejected, so the balancer must be built again. Called on the thread of the call that failed; must
    /// return at once and may be called by several threads.
    /// </summary>
    public Action? Changed { get; set; }

    public TimeProvider Clock { get; }

    public BalancingOptions Options { get; }

    public double TicksPerSecond { get; }

    /// <summary>
    /// The time of the latest start or answer, to a millisecond: reading the clock costs more than the whole pick. It stands still while
    /// there are no calls, and then one pick sees an old time, which does no harm.
    /// </summary>
    public long CoarseNow => Volatile.Read(ref _now);

    private ILogger Logger { get; }

    /// <summary>Reads the clock. The shared field is written once a millisecond at most, or every core would fight for its cache line.</summary>
    public long ReadClock()
    {
        var now = Clock.GetTimestamp();
        if (now - Volatile.Read(ref _now) >= _grain)
        {
            Volatile.Write(ref _now, now);
        }

        return now;
    }

    public long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * TicksPerSecond);

    public TimeSpan ToTime(double ticks) => TimeSpan.FromSeconds(ticks / TicksPerSecond);

    public void OnEjected(ServiceEndpoint endpoint, string reason, long ticks)
    {
        Log.Ejected(Logger, endpoint.Instance.ServiceName, endpoint.Instance.Address, ToTime(ticks), reason);
        Changed?.Invoke();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Endpoint {Address} of service {Service} is ejected for {Duration}: {Reason}.")]
        public static partial void Ejected(ILogger logger, string service, string address, TimeSpan duration, string reason);
    }
}
