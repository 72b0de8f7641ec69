using System.Runtime.InteropServices;

namespace Discovery.AspNetCore.Instances;

/// <summary>
/// What a call to an instance is expected to cost, in ticks of the clock until response headers. It is learnt from calls that were
/// answered, that failed, that gave up, and that still wait. The constants are those that did best in the simulator, where each may be
/// doubled or halved without much harm. Updates may race: a lost one is made good by the next call, and a lock would cost more than it
/// saves.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal struct LatencyEstimate
{
    /// <summary>
    /// How much one sample counts: more the longer the last one is ago, so that both busy and quiet instances look back a few seconds.
    /// </summary>
    private const double LeastGain = 0.02;

    private const double MostGain = 0.5;

    private const double LookBackSeconds = 3;

    /// <summary>
    /// Without calls the estimate goes back to what is usual with this time constant: an instance that was slow gets another chance. One whose
    /// first answers took a second is asked again after some 15 s; one that hangs costs a call as often, until it is ejected.
    /// </summary>
    public const double ForgetSeconds = 3;

    /// <summary>
    /// So many answers a new instance may give slowly: it compiles, and fills its caches and pools. Learnt, they would have it shunned for seconds.
    /// Calls that get no answer count from the first.
    /// </summary>
    private const int WarmUpAnswers = 8;

    /// <summary>
    /// How long a wait counts where nothing was ever answered, for each call that waits, up to so many. The next call then begins it anew: a hung
    /// instance is asked again ever less often, and one that only has a quiet stream gets its share, as that call is answered.
    /// </summary>
    private const double WaitSeconds = 4;

    private const int MostWaiting = 8;

    private const double LimitSeconds = 10;

    private const long Never = -(1L << 60);

    private double _ticks;
    private long _updatedAt;
    private long _waitingSince;
    private long _answeredAt;
    private long _connectedAt;
    private int _warmUpAnswers;

    public LatencyEstimate()
    {
        _updatedAt = Never;
        _waitingSince = Never;
        _answeredAt = Never;
        _connectedAt = long.MaxValue;
    }

    /// <summary>Whether no call was ever made.</summary>
    public readonly bool IsUntried => _waitingSince == Never;

    /// <summary>What was learnt last, however long ago; 0 if nothing was.</summary>
    public readonly double Learnt => _ticks;

    /// <summary>Takes a latency as learnt just now.</summary>
    public void Set(long ticks, long now)
    {
        (_ticks, _updatedAt) = (ticks, now);
        OnAnswered(now);
    }

    /// <summary>
    /// A call begins to wait. What counts is how long the first has waited that began since the last answer: one that was overtaken by that is no
    /// sign that nothing is answered, such as a stream, whose headers come with its first message.
    /// </summary>
    /// <param name="now">The time.</param>
    /// <param name="others">How many other calls wait.</param>
    /// <param name="context">What the instances share.</param>
    public void OnWaitBegins(long now, long others, InstanceContext context)
    {
        if (others == 0 || _waitingSince == long.MaxValue || now - _waitingSince >= MostWait(others, context))
        {
            _waitingSince = now;
        }
    }

    public void OnAnswer(long startedAt, long now, InstanceContext context)
    {
        if (startedAt < _connectedAt)
        {
            // Calls that began before an instance's first answer waited for its connection, and in a new process for the compiler too. Taken
            // for its latency, the first of several equal instances would be shunned until that is forgotten.
            _connectedAt = Math.Min(_connectedAt, now);
            OnAnswered(now);
            return;
        }

        context.OnAnswer(now - startedAt, now);
        double ticks = now - startedAt;
        if (_warmUpAnswers < WarmUpAnswers)
        {
            _warmUpAnswers++;
            ticks = Math.Min(ticks, context.EqualBelow(context.UsualLatency));
        }

        Sample(ticks, isFailure: false, now, context);
    }

    /// <summary>An answer that is no measure of speed.</summary>
    public void OnRefusal(long now) => OnAnswered(now);

    /// <summary>Whether anything was learnt since a time, or the very first answer came.</summary>
    public readonly bool IsUpdatedSince(long time) => _updatedAt >= time || (_connectedAt >= time && _connectedAt != long.MaxValue);

    public void OnFailure(long startedAt, long now, InstanceContext context)
        => Sample(Math.Max(now - startedAt, context.FailureTicks), isFailure: true, now, context);

    /// <summary>
    /// Whether a call without an answer was a stream that had no message for as long as somebody listened: later calls were answered meanwhile. A
    /// limit of few seconds is one for a single answer.
    /// </summary>
    /// <param name="startedAt">When the call began.</param>
    /// <param name="now">The time.</param>
    /// <param name="isLimit">Whether a limit of time passed; else somebody no longer wanted the answer.</param>
    /// <param name="context">What the instances share.</param>
    public readonly bool WasQuietStream(long startedAt, long now, bool isLimit, InstanceContext context)
        => _answeredAt > startedAt && !(isLimit && now - startedAt < LimitSeconds * context.TicksPerSecond);

    /// <summary>
    /// A caller gave up: the answer would have taken longer still. This can only raise the estimate, and does so at once.
    /// </summary>
    public void OnNoAnswer(long startedAt, long now, InstanceContext context)
    {
        var waited = now - startedAt;
        if (waited > Forgotten(now - _updatedAt, context))
        {
            _ticks = waited;
            _updatedAt = now;
        }
    }

    /// <summary>The estimate for a call that is sent now, at least one tick.</summary>
    /// <param name="now">The time.</param>
    /// <param name="waiting">How many calls wait for headers. If any does, it has waited since the last answer at least.</param>
    /// <param name="context">What the instances share.</param>
    public readonly double At(long now, long waiting, InstanceContext context)
    {
        var estimate = Forgotten(now - _updatedAt, context);
        return (now - _waitingSince < MostWait(waiting, context) ? AtLeast(now, waiting, estimate) : estimate) + 1;
    }

    /// <summary>
    /// <see cref="At"/> for an estimate that is hardly older than <paramref name="recentFrom"/>: it is taken as it stands.
    /// </summary>
    public readonly double RecentAt(long now, long waiting, long recentFrom, ref long isStale)
    {
        isStale |= _updatedAt - recentFrom;
        return AtLeast(now, waiting, _ticks);
    }

    private static double MostWait(long waiting, InstanceContext context) => WaitSeconds * context.TicksPerSecond * Math.Min(waiting, MostWaiting);

    // Whether calls wait is as good as random: no branch. Where no call began since the last answer, the difference is negative.
    private readonly double AtLeast(long now, long waiting, double estimate)
        => double.MaxNative(estimate, (now - _waitingSince) & (-waiting >> 63));

    private void OnAnswered(long now)
    {
        _answeredAt = now;
        _waitingSince = long.MaxValue;
    }

    private void Sample(double ticks, bool isFailure, long now, InstanceContext context)
    {
        OnAnswered(now);
        var age = now - _updatedAt;
        var before = Forgotten(age, context);
        var gain = Math.Clamp(age / (LookBackSeconds * context.TicksPerSecond), LeastGain, MostGain);
        var learnt = before == 0 || _updatedAt == Never ? ticks : before + (gain * (ticks - before));

        // One slow answer among quick ones is the call's doing, such as a poll or a report, and not the instance's: alone it never makes it slower than
        // what counts as equal. A second one does, and those that still wait count anyway.
        _ticks = isFailure || before == 0 ? learnt : Math.Min(learnt, context.EqualBelow(before));
        _updatedAt = now;
    }

    private readonly double Forgotten(long age, InstanceContext context)
    {
        if (age < context.RecentTicks)
        {
            return _ticks;
        }

        var usual = context.UsualLatency;
        return age > context.LongAgoTicks ? usual : usual + ((_ticks - usual) * Math.Exp(-age / (ForgetSeconds * context.TicksPerSecond)));
    }
}
