using Discovery.AspNetCore.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Instances;

/// <summary>What the instances of one service share: the clock, the settings, the usual latency, and who is notified of an ejection. One per pool.</summary>
internal sealed class InstanceContext
{
    private const double EqualFactor = 2.5;

    private const double EqualSeconds = 0.005;

    /// <summary>
    /// A failed call costs as much as one that takes thirty times the usual. Far less, and a server that fails fast attracts calls; far
    /// more, and errors that are nobody's fault push calls from one server to the next.
    /// </summary>
    private const double FailureCost = 30;

    /// <summary>The same where calls are so quick that their latencies all count as equal.</summary>
    private const double FailureFloor = 10;

    /// <summary>
    /// The same while nobody has answered yet: others connect and compile meanwhile, which takes them so long, and one that refuses at once is
    /// not to have all calls until then.
    /// </summary>
    private const double ColdFailureSeconds = 1;

    /// <summary>How many times the usual an answer counts at most: a poll of minutes among calls of milliseconds is not what is usual.</summary>
    private const double OutlierFactor = 10;

    /// <summary>After how many answers it is known what is usual.</summary>
    private const int OutliersFrom = 10;

    /// <summary>
    /// A call goes on for long that is still under way after one to two of so many seconds. Most are over then; and who keeps away from an instance for a
    /// stream does so no longer.
    /// </summary>
    private const double LastingSeconds = 1;

    /// <summary>The same in usual latencies: where all calls take long, they are what the instances have to do.</summary>
    private const double LastingLatencies = 5;

    private readonly long _resolution;
    private readonly double _equalTicks;
    private long _now;
    private long _sampledAt;
    private int _samples;
    private double _usualLatency;

    public InstanceContext(TimeProvider clock, BalancingOptions options, ILogger logger)
    {
        Clock = clock;
        Options = options;
        Ejections = new EjectionLog(clock, logger);
        Redirects = new RedirectLog(logger);
        TicksPerSecond = clock.TimestampFrequency;
        _resolution = Math.Max(1, clock.TimestampFrequency / 1000);
        _equalTicks = EqualSeconds * clock.TimestampFrequency;
        RecentTicks = clock.TimestampFrequency / 4;
        LongAgoTicks = (long)(10 * LatencyEstimate.ForgetSeconds * clock.TimestampFrequency);
        _now = clock.GetTimestamp();
        _sampledAt = _now - _resolution;
        ReportedLoad = new ReportedLoad(this);
    }

    /// <summary>
    /// Set by the pool: this instance is to be ejected, so the balancer must be built again; urgently (true) if calls to it go wrong until then.
    /// Called on the thread of the call that failed; must return at once and may be called by several threads.
    /// </summary>
    public Action<InstanceState, bool>? Changed { get; set; }

    /// <summary>Set by the pool: all instances that may be called.</summary>
    public IReadOnlyList<InstanceState> Instances { get; set; } = [];

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

    /// <summary>What a failed call costs: more than any latency that counts as equal, or a server that fails at once would attract calls.</summary>
    public double FailureTicks => UsualLatency is > 0 and var usual ? Math.Max(FailureCost * usual, FailureFloor * _equalTicks) : ColdFailureSeconds * TicksPerSecond;

    /// <summary>The time to response headers that is usual in this service, in ticks; 0 before the first answer.</summary>
    public double UsualLatency => Volatile.Read(ref _usualLatency);

    /// <summary>The period of <see cref="LastingCalls"/>.</summary>
    public double LastingPeriod => Math.Max(LastingSeconds * TicksPerSecond, LastingLatencies * UsualLatency);

    /// <summary>
    /// Whether calls have been answered, apart from those that waited for a connection. Until then nobody has warmed up beside whom a new instance would
    /// have to be spared: where clients and servers start together, those that the client found first would get all calls for the time of a slow start.
    /// </summary>
    public bool HasAnswers => Volatile.Read(ref _samples) > 0;

    /// <summary>What instances report of their load.</summary>
    public ReportedLoad ReportedLoad { get; }

    /// <summary>What tells strangers at the instances' addresses.</summary>
    public RefusedRequests Refused { get; } = new();

    /// <summary>What tells an instance that is broken from requests that cause an exception wherever they go.</summary>
    public RefusedRequests Thrown { get; } = new();

    /// <summary>What is measured of the service; null if nothing is.</summary>
    public ServiceMetrics? Metrics { get; init; }

    /// <summary>What is said and counted of ejections.</summary>
    public EjectionLog Ejections { get; }

    /// <summary>What is said of redirects to https.</summary>
    public RedirectLog Redirects { get; }

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
            Volatile.Write(ref _samples, samples);
            var usual = UsualLatency;
            var most = samples > OutliersFrom ? (OutlierFactor * usual) + _equalTicks : double.MaxValue;
            Volatile.Write(ref _usualLatency, usual + ((Math.Min(ticks, most) - usual) / samples));
        }
    }

    /// <summary>
    /// Up to where latencies count as equal to the least of those that are compared: two and a half times that and 5 ms. What differs less is the
    /// noise of schedulers, compilers and queues. If it counted, one of several equal instances would win every comparison at a low rate of calls.
    /// </summary>
    public double EqualBelow(double least) => (EqualFactor * least) + _equalTicks;

    public long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * TicksPerSecond);

    public TimeSpan ToTime(double ticks) => TimeSpan.FromSeconds(ticks / TicksPerSecond);

    /// <summary>Whether another instance answered since a time, and its last calls were served.</summary>
    public bool OthersServe(InstanceState instance, long since)
    {
        foreach (var other in Instances)
        {
            if (AreComparable(instance, other) && other.Health.Serves && other.AnsweredSince(since))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether any other instance was ever called and the call has ended.</summary>
    public bool OthersAnswered(InstanceState instance) => AnyOther(instance, static o => o.Calls > o.InFlight);

    /// <summary>Whether a call to any other instance was answered, or failed, since a time.</summary>
    public bool OthersAnsweredSince(InstanceState instance, long time)
    {
        foreach (var other in Instances)
        {
            if (AreComparable(instance, other) && other.AnsweredSince(time))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether there are others.</summary>
    public bool HasOthers(InstanceState instance) => AnyOther(instance, static _ => true);

    /// <summary>
    /// The largest share of refusals of any other instance that gets calls, and how many calls they all answered. Those that refuse everything of late
    /// may be strangers too, which would pass for instances by each other; they are left out where they are fewer than the rest.
    /// </summary>
    public (double Highest, long Answers) RefusalsOfOthers(InstanceState instance)
    {
        var (all, serving, lead) = ((Highest: 0.0, Answers: 0L), (Highest: 0.0, Answers: 0L), 0);
        foreach (var other in Instances)
        {
            if (AreComparable(instance, other) && other.Calls - other.InFlight is > 0 and var calls && !other.Health.WantsEjection(CoarseNow))
            {
                var rate = other.Health.RefusalRateOf(calls);
                all = (Math.Max(all.Highest, rate), all.Answers + calls);
                if (other.Health.ServedOfLate)
                {
                    serving = (Math.Max(serving.Highest, rate), serving.Answers + calls);
                }

                lead += other.Health.ServedOfLate ? 1 : -1;
            }
        }

        return lead > 0 ? serving : all;
    }

    /// <summary>
    /// The same of exceptions in the application's code. Those that answer nothing else are left out where they are not more than the rest: a release that is
    /// broken may have come to most of the instances, while requests that fail wherever they go show in what every instance answers.
    /// </summary>
    public double ErrorsOfOthers(InstanceState instance)
    {
        var (highest, highestOfWorking, answers, lead) = (0.0, 0.0, 0L, 0);
        foreach (var other in Instances)
        {
            if (AreComparable(instance, other) && other.Calls > 0 && !other.Health.WantsEjection(CoarseNow))
            {
                // All that it answered may be streams that go on.
                var calls = Math.Max(1, other.Calls - other.InFlight);
                var rate = other.Health.ErrorRateOf(calls);
                highest = Math.Max(highest, rate);
                if (other.Health.WorkedOfLate)
                {
                    (highestOfWorking, answers) = (Math.Max(highestOfWorking, rate), answers + calls);
                }

                lead += other.Health.WorkedOfLate ? 1 : -1;
            }
        }

        // A few answers do not say how often they fail.
        return lead >= 0 ? Math.Max(highestOfWorking, 1.0 / (answers + 1)) : highest;
    }

    private bool AnyOther(InstanceState instance, Func<InstanceState, bool> condition)
    {
        foreach (var other in Instances)
        {
            if (AreComparable(instance, other) && condition(other))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Whether another instance gets the same calls, so that its answers tell what those of this one ought to be. What an application's gRPC port
    /// answers says nothing of its REST port.
    /// </summary>
    private static bool AreComparable(InstanceState instance, InstanceState other)
    {
        var (one, two) = (instance.Record, other.Record);
        return !ReferenceEquals(instance, other)
            && (one.Scheme is null || two.Scheme is null || one.Scheme == two.Scheme)
            && (one.Protocols == InstanceProtocols.Unspecified || two.Protocols == InstanceProtocols.Unspecified
                ? (SpokenBy(instance) & SpokenBy(other)) != InstanceProtocols.Unspecified
                : one.Protocols == two.Protocols);
    }

    /// <summary>What an instance speaks as its record says; where it says nothing, all that it has not refused.</summary>
    private static InstanceProtocols SpokenBy(InstanceState instance)
        => instance.Record.Protocols is not InstanceProtocols.Unspecified and var spoken ? spoken
            : ~instance.RefusedProtocols & (InstanceProtocols.Http1 | InstanceProtocols.Http2);

    public void OnChanged(InstanceState instance, bool isUrgent) => Changed?.Invoke(instance, isUrgent);
}
