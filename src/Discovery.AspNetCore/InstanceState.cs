using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore;

/// <summary>
/// A service instance as a client sees it: the record, and the live state of the calls made to it. It stays the same object as long as
/// the same process is registered at the address, whatever else of the record changes.
/// </summary>
public sealed class InstanceState
{
    private const long OneCall = 1;
    private const long OneAwaitingHeaders = 1L << 32;

    private readonly InstanceContext _context;
    private readonly InstanceHealth _health;
    private volatile ServiceInstance _record;
    private Hot _hot = new();
    private int _refusedProtocols;
    private bool _isHeld;
    private volatile bool _isGivenUp;
    private double _weight;
    private double _startPart = 1;
    private long _reportedAt = long.MinValue;
    private int _inFlightAtReport;

    /// <summary>
    /// Creates the live state of an instance that no client calls. For tests and infrastructure, such as a test of an
    /// <see cref="IBalancingPolicy"/> of your own; what policies look at can be set.
    /// </summary>
    /// <param name="record">The record.</param>
    public InstanceState(ServiceInstance record)
        : this(record, new InstanceContext(TimeProvider.System, new BalancingOptions(), NullLogger.Instance))
    {
    }

    /// <summary>Starts the live state of an instance.</summary>
    /// <param name="record">The record.</param>
    /// <param name="context">What the instances of the service share.</param>
    /// <param name="isJoining">Whether it joins a running client, and so starts slowly; not so before calls were answered.</param>
    internal InstanceState(ServiceInstance record, InstanceContext context, bool isJoining = false)
    {
        _record = record;
        _context = context;
        _health = new InstanceHealth(this, context);
        KeyHash = StableHash.Of(record.Key);
        SetWeight(Math.Max(1, record.Weight));
        JoinedAt = isJoining ? context.ReadClock() : null;
    }

    /// <summary>The record as it stands in etcd.</summary>
    public ServiceInstance Record => _record;

    /// <summary>The calls under way, until their response bodies end.</summary>
    public int InFlight
    {
        get => (int)Volatile.Read(ref _hot.Calls);
        init => _hot.Calls = value * OneCall;
    }

    /// <summary>The calls sent to the instance since it joined.</summary>
    public long Calls => Volatile.Read(ref _hot.Started);

    /// <summary>
    /// The record's weight. More than 0. That an instance starts slowly is no matter of policies: some of the calls that they would give it go
    /// to others.
    /// </summary>
    public double Weight
    {
        get => Volatile.Read(ref _weight);
        init => SetWeight(value);
    }

    /// <summary>The time to response headers that is expected now; zero as long as nothing is known.</summary>
    public TimeSpan Latency
    {
        get => _context.ToTime(_hot.Latency.At(_context.CoarseNow, AwaitingHeaders, _context));
        init => _hot.Latency.Set(_context.ToTicks(value), _context.ReadClock());
    }

    /// <summary>
    /// The share of failed calls among about the last 20, from 0 to 1, those among them that ended with an exception (HTTP 500, INTERNAL, UNKNOWN).
    /// </summary>
    public double FailureRate
    {
        get => _health.TroubleRate;
        init => _health.FailureRate = value;
    }

    /// <summary>Whether the instance failed so much that it should get no calls for now.</summary>
    public bool IsEjected
    {
        get => _health.WantsEjection(_context.Clock.GetTimestamp());
        init => _health.EjectedUntil = value ? long.MaxValue : long.MinValue;
    }

    /// <summary>How long it is still ejected; zero if it is not.</summary>
    internal TimeSpan EjectionLeft => _health.EjectedUntil - _context.Clock.GetTimestamp() is > 0 and var left ? _context.ToTime(left) : TimeSpan.Zero;

    /// <summary>What carries calls to this instance and to no other; set by whoever owns the connections.</summary>
    internal InstanceTransport? Transport { get; init; }

    /// <summary>The pool that the instance is in; set by it.</summary>
    internal ServicePool? Pool { get; init; }

    internal InstanceContext Context => _context;

    internal InstanceHealth Health => _health;

    /// <summary>The hash of the record's key.</summary>
    internal ulong KeyHash { get; private set; }

    /// <summary>
    /// When the instance joined a running client, as a timestamp of the clock; <see langword="null"/> if it was there at start.
    /// </summary>
    internal long? JoinedAt { get; }

    /// <summary>The part of its weight that counts where load is compared: less than 1 while it starts slowly.</summary>
    internal double StartPart
    {
        get => _startPart;
        set
        {
            _startPart = value;
            Volatile.Write(ref _hot.PerStartPart, 1 / value);
        }
    }

    /// <summary>Whether the instance joined a running client and was not called yet.</summary>
    internal bool IsUntried => JoinedAt is not null && _hot.Latency.IsUntried;

    /// <summary>The number of the build in which the pool has found the instance last; negative once it has left. The pool's own.</summary>
    internal int Generation { get; set; }

    /// <summary>What the instance said that it does not speak; counts only where the record says nothing.</summary>
    internal InstanceProtocols RefusedProtocols => (InstanceProtocols)Volatile.Read(ref _refusedProtocols);

    /// <summary>Whether the record is no longer in etcd and the instance is called in the hope that it is still there. Set by the pool.</summary>
    internal bool IsHeld
    {
        get => Volatile.Read(ref _isHeld);
        set
        {
            Volatile.Write(ref _isHeld, value);
            if (!value)
            {
                _isGivenUp = false;
            }
        }
    }

    /// <summary>Whether somebody else answers at the address of an instance that is held.</summary>
    internal bool IsGivenUp => _isHeld && _isGivenUp;

    private int AwaitingHeaders => (int)(Volatile.Read(ref _hot.Calls) >> 32);

    /// <inheritdoc />
    public override string ToString() => _record.ToString();

    internal void Update(ServiceInstance record)
    {
        if (record.Key != _record.Key)
        {
            KeyHash = StableHash.Of(record.Key);
        }

        if (record.Revision != _record.Revision && (record.InstanceId is null || record.LeaseId != _record.LeaseId))
        {
            // Whoever wrote it again may be another process: nothing else tells where there is no id, or one from the settings, such as a pod's name.
            Interlocked.Exchange(ref _refusedProtocols, 0);
            _health.OnRegisteredAgain();
        }

        _record = record;
        SetWeight(Math.Max(1, record.Weight));
    }

    private void SetWeight(double weight)
    {
        Volatile.Write(ref _weight, weight);
        Volatile.Write(ref _hot.PerWeight, 1 / weight);
    }

    /// <summary>A call is about to be sent. The result goes to <see cref="OnHeaders"/> or <see cref="OnCallEnded"/>.</summary>
    internal CallProgress OnCallStarted()
    {
        var now = _context.ReadClock();
        Interlocked.Increment(ref _hot.Started);
        var others = Interlocked.Add(ref _hot.Calls, OneAwaitingHeaders + OneCall) - OneAwaitingHeaders - OneCall;
        _hot.Latency.OnWaitBegins(now, others >> 32, _context);
        _hot.Lasting.Advance(now, (int)others, _context.LastingPeriod);
        return new CallProgress(now, HasHeaders: false);
    }

    /// <summary>
    /// Response headers came and say nothing of a failure. Their time is the call's latency, however long the body then takes. Skip this
    /// for a response that is a failure by its headers: a quick 503 is not speed.
    /// </summary>
    /// <returns>What to give to <see cref="OnCallEnded"/>.</returns>
    internal CallProgress OnHeaders(CallProgress call)
    {
        _hot.Latency.OnAnswer(call.StartedAt, _context.ReadClock(), _context);
        Interlocked.Add(ref _hot.Calls, -OneAwaitingHeaders);
        return call with { HasHeaders = true };
    }

    /// <summary>The call is over, once per <see cref="OnCallStarted"/>.</summary>
    /// <param name="call">The result of <see cref="OnCallStarted"/>, or of <see cref="OnHeaders"/> if it was called.</param>
    /// <param name="outcome">How it ended.</param>
    internal void OnCallEnded(CallProgress call, CallOutcome outcome)
    {
        var (startedAt, hasHeaders) = call;

        // How long a stream went on before it failed is no latency. The clock is not read for a call that succeeds.
        var failedSince = hasHeaders && outcome != CallOutcome.Success ? _context.ReadClock() : startedAt;
        if (_context.Metrics is { MeasuresAttempts: true } metrics)
        {
            metrics.OnAttemptEnded(outcome.ToTag(), _context.ToTime(_context.ReadClock() - startedAt));
        }

        switch (outcome)
        {
            case CallOutcome.Success:
                if (!hasHeaders)
                {
                    _hot.Latency.OnAnswer(startedAt, _context.ReadClock(), _context);
                }

                _health.OnSuccess(startedAt);
                break;
            case CallOutcome.Refused:
                _hot.Latency.OnRefusal(_context.ReadClock());
                _health.OnRefusal(startedAt);
                break;
            case CallOutcome.NotFound or CallOutcome.Denied or CallOutcome.Redirected or CallOutcome.CallersError when _health.OnRefused(startedAt, outcome):
                _hot.Latency.OnFailure(startedAt, _context.ReadClock(), _context);
                break;
            case CallOutcome.NotFound or CallOutcome.Denied or CallOutcome.Redirected or CallOutcome.CallersError:
                _hot.Latency.OnRefusal(_context.ReadClock());
                break;
            case CallOutcome.Unimplemented:
                // Load from the first: a stranger answers at once, while those who serve still connect.
                _hot.Latency.OnFailure(failedSince, _context.ReadClock(), _context);
                _health.OnUnimplemented(startedAt);
                break;
            case CallOutcome.Overloaded or CallOutcome.UnknownError:
                _hot.Latency.OnFailure(failedSince, _context.ReadClock(), _context);
                break;
            case CallOutcome.SameFailure:
            case CallOutcome.Failure when hasHeaders && !_health.IsNewBreak(startedAt):
                break;
            case CallOutcome.Failure or CallOutcome.ConnectFailure or CallOutcome.WrongServer:
                _hot.Latency.OnFailure(failedSince, _context.ReadClock(), _context);
                _health.OnFailure(startedAt, outcome);
                break;
            case CallOutcome.Stalled:
                _hot.Latency.OnNoAnswer(startedAt, _context.ReadClock(), _context);
                _health.OnTimeout(startedAt);
                break;
            case CallOutcome.TimedOut when !hasHeaders:
                LearnNoAnswer(startedAt, isLimit: true);
                _health.OnTimeout(startedAt);
                break;
            case CallOutcome.Cancelled when !hasHeaders:
                LearnNoAnswer(startedAt, isLimit: false);
                break;
        }

        if (IsHeld && IsOfStranger(outcome))
        {
            GiveUp();
        }

        Interlocked.Add(ref _hot.Calls, hasHeaders ? -OneCall : -OneAwaitingHeaders - OneCall);
        _hot.Lasting.OnEnded(startedAt);
    }

    /// <summary>
    /// The instance said with its good answer to a call how many others it has in flight, of all clients. To be called before the call has ended.
    /// </summary>
    internal void OnLoadReport(double inFlight)
    {
        _inFlightAtReport = InFlight - 1;
        Volatile.Write(ref _reportedAt, _context.ReadClock());
        _context.ReportedLoad.OnReport(this, inFlight);
    }

    /// <summary>
    /// Whether the instance reported its load since a time, was sent no call after that, does not start slowly, and none of its last calls failed:
    /// one that fails half of its calls at once has little to do.
    /// </summary>
    internal bool HasReportedSince(long time)
        => Volatile.Read(ref _reportedAt) >= time && InFlight <= _inFlightAtReport && _startPart >= 1 && FailureRate < 0.02;

    /// <summary>How long a call has been under way.</summary>
    internal TimeSpan WaitOf(CallProgress call) => _context.ToTime(_context.ReadClock() - call.StartedAt);

    /// <summary>Whether a call was answered, or failed, since a time.</summary>
    internal bool AnsweredSince(long time) => _hot.Latency.IsUpdatedSince(time);

    /// <summary>One by the weight.</summary>
    internal double PerWeight => Volatile.Read(ref _hot.PerWeight);

    /// <summary>The latency that was learnt last, in ticks, however long ago.</summary>
    internal double LearntLatency => _hot.Latency.Learnt;

    /// <summary>The latency that a call sent now is expected to have, in ticks.</summary>
    internal double LatencyAt(long now) => _hot.Latency.At(now, AwaitingHeaders, _context);

    /// <summary>Has calls that go on for long counted as such, where no call begins that does so.</summary>
    internal void AdvanceLasting(long now) => _hot.Lasting.Advance(now, InFlight, _context.LastingPeriod);

    /// <summary>
    /// What a further call is expected to cost here: the wait of one call, and of one more for each that is already there, as the weight has
    /// it. Idle instances cost the same whatever their weights: else the heaviest would get every call as long as none is under way.
    /// </summary>
    /// <param name="latency">The result of <see cref="LatencyAt"/>.</param>
    /// <param name="equalBelow">The result of <see cref="InstanceContext.EqualBelow"/>.</param>
    /// <param name="weightOfCall">What a call that is there counts: the mean weight by the weight of the instance.</param>
    /// <param name="lastingMask">-1 if calls that go on for long do not count, 0 if they do.</param>
    internal double Load(double latency, double equalBelow, double weightOfCall, int lastingMask)
        => ((Counted(Volatile.Read(ref _hot.Calls), lastingMask) * weightOfCall) + 1) * Math.Max(latency, equalBelow) * _hot.PerStartPart;

    /// <summary><see cref="Load"/> without a branch, right only if the latency was learnt recently.</summary>
    /// <param name="now">The time.</param>
    /// <param name="recentFrom">What recently means.</param>
    /// <param name="equalBelow">The result of <see cref="InstanceContext.EqualBelow"/>.</param>
    /// <param name="weightOfCall">What a call that is there counts: the mean weight by the weight of the instance.</param>
    /// <param name="lastingMask">-1 if calls that go on for long do not count, 0 if they do.</param>
    /// <param name="isStale">Becomes negative if it was not.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal double RecentLoad(long now, long recentFrom, double equalBelow, double weightOfCall, int lastingMask, ref long isStale)
    {
        var calls = Volatile.Read(ref _hot.Calls);
        return ((Counted(calls, lastingMask) * weightOfCall) + 1)
            * double.MaxNative(_hot.Latency.RecentAt(now, calls >> 32, recentFrom, ref isStale), equalBelow) * _hot.PerStartPart;
    }

    private int Counted(long calls, int lastingMask) => Math.Max(0, (int)calls - (_hot.Lasting.Count & lastingMask));

    /// <summary>The instance refused a call for its protocol: it gets no more of them while another instance is there.</summary>
    internal void OnRefused(InstanceProtocols protocol)
    {
        var before = (InstanceProtocols)Interlocked.Or(ref _refusedProtocols, (int)protocol);
        if (!before.HasFlag(protocol))
        {
            _context.OnChanged(this, isUrgent: true);
        }
    }

    private void LearnNoAnswer(long startedAt, bool isLimit)
    {
        var now = _context.ReadClock();
        if (!_hot.Latency.WasQuietStream(startedAt, now, isLimit, _context))
        {
            _hot.Latency.OnNoAnswer(startedAt, now, _context);
        }
    }

    private bool IsOfStranger(CallOutcome outcome) => outcome switch
    {
        CallOutcome.NotFound or CallOutcome.Unimplemented or CallOutcome.WrongServer => true,
        CallOutcome.Denied or CallOutcome.Redirected => _health.LooksLikeStranger,
        _ => false,
    };

    private void GiveUp()
    {
        if (!_isGivenUp)
        {
            _isGivenUp = true;
            _context.OnChanged(this, isUrgent: true);
        }
    }

    /// <summary>
    /// What picks read and calls write. A struct, since its fields lie together: a pick waits for one or two cache lines of each instance that it
    /// looks at, where fields of the instance would be in three. What a pick reads of equal instances is last, up to the first fields of the latency.
    /// </summary>
    [StructLayout(LayoutKind.Auto)]
    private struct Hot()
    {
        public long Started;
        public double PerWeight;

        /// <summary>High half: calls without response headers yet. Low half: calls whose response has not ended. One word, one atomic operation.</summary>
        public long Calls;

        public double PerStartPart = 1;
        public LastingCalls Lasting;
        public LatencyEstimate Latency = new();
    }
}
