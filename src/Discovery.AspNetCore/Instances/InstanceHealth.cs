namespace Discovery.AspNetCore.Instances;

/// <summary>
/// Counts an instance's failures and decides when it is to be left out, and for how long. Whether it then is left out is the balancer's
/// decision, which sees all instances and their cap. Lock-free; on the path of a call that succeeds it writes nothing.
/// </summary>
internal sealed class InstanceHealth(InstanceState instance, InstanceContext context)
{
    /// <summary>How much one call moves the smoothed failure rate: it looks back on about 20 calls.</summary>
    private const double Smoothing = 0.05;

    private const double Negligible = 0.001;

    /// <summary>How many times as many refusals are needed where no other instance was asked for the same.</summary>
    public const int UncomparedPerFailure = 4;

    /// <summary>A call that waited so long was not cut short, however long other calls of the service take.</summary>
    private static readonly TimeSpan LongWait = TimeSpan.FromSeconds(1);

    private readonly EjectionOptions _options = context.Options.Ejection;
    private readonly RefusalRow _refusals = new();
    private ErrorRow? _errors;
    private long _ejectedUntil = long.MinValue;
    private long _levelChangedAt;
    private long _brokenAt = long.MinValue;
    private long _firstTimeoutAt;
    private long _firstUnimplementedAt;
    private int _level;
    private int _failuresInRow;
    private int _connectFailuresInRow;
    private int _timeoutsInRow;
    private int _unimplementedInRow;
    private double _failureRate;
    private bool _onProbation;
    private bool _hasProblems;

    /// <summary>How many refusals in a row are needed where no other instance was asked for the same.</summary>
    private int LongRow => UncomparedPerFailure * _options.ConsecutiveFailures;

    /// <summary>The share of failed calls among about the last 20, from 0 to 1.</summary>
    public double FailureRate
    {
        get => Volatile.Read(ref _failureRate);
        set
        {
            Volatile.Write(ref _failureRate, value);
            _hasProblems = value > 0;
        }
    }

    /// <summary>When the latest ejection ends or ended, as a timestamp of the clock.</summary>
    public long EjectedUntil
    {
        get => Volatile.Read(ref _ejectedUntil);
        set => Volatile.Write(ref _ejectedUntil, value);
    }

    /// <summary>Why the latest ejection is wanted.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>The end of the latest ejection that was written to the log; set by whoever writes it, one at a time.</summary>
    public long ReportedUntil { get; set; } = long.MinValue;

    /// <summary>Whether one of the latest answers was none of those that strangers give.</summary>
    public bool ServedOfLate => _refusals.IsShort && _unimplementedInRow < RefusalRow.Least;

    /// <summary>Whether one of the latest answers was no exception in the application's code.</summary>
    public bool WorkedOfLate => _errors is null or { IsShort: true };

    /// <summary>The share of calls that failed or ended with such an exception, among about the last 20, from 0 to 1.</summary>
    public double TroubleRate => Math.Max(FailureRate, _errors?.Rate ?? 0);

    /// <summary>Whether the latest calls say that the instance serves what it is asked for.</summary>
    public bool Serves => !_onProbation && _failuresInRow == 0 && _unimplementedInRow == 0 && _refusals.IsEmpty && _errors is null or { IsEmpty: true };

    /// <summary>
    /// Whether the latest answers are such as strangers give. For one that is held: others are not compared, for they may be strangers too.
    /// </summary>
    public bool LooksLikeStranger => _refusals.LooksLikeStranger(_options.ConsecutiveFailures, LongRow);

    /// <summary>The share of refusals among about the last 20 answers, from 0 to 1.</summary>
    /// <param name="answers">How many there were.</param>
    public double RefusalRateOf(long answers) => _refusals.RateOf(answers);

    /// <summary>The share of exceptions in the application's code among about the last 20 answers, from 0 to 1.</summary>
    /// <param name="answers">How many there were.</param>
    public double ErrorRateOf(long answers) => _errors?.RateOf(answers) ?? 0;

    public bool WantsEjection(long now) => EjectedUntil > now;

    public void OnSuccess(long startedAt)
    {
        if (_hasProblems)
        {
            _refusals.End();
            Recover(startedAt);
        }
    }

    /// <summary>The caller made an error, which says that the instance works.</summary>
    public void OnRefusal(long startedAt)
    {
        if (_hasProblems)
        {
            Recover(startedAt);
        }
    }

    /// <summary>
    /// An answer such as 404, usual where what is asked for does not exist, and all that a stranger at the instance's address has to say. It is one
    /// if it says nothing else while others serve the same requests, and if chance cannot be the reason.
    /// </summary>
    /// <returns>Whether it counts as load: what is refused at once would attract calls.</returns>
    public bool OnRefused(long startedAt, CallOutcome outcome)
    {
        OnRefusal(startedAt);
        _hasProblems = true;
        if (outcome == CallOutcome.CallersError)
        {
            _refusals.EndStrange();
        }
        else
        {
            _refusals.OnStrange(instance.Calls - instance.InFlight);
        }

        var inRow = _refusals.Add(startedAt);
        if (inRow < RefusalRow.Least)
        {
            return false;
        }

        var first = _refusals.FirstAt;
        var (rate, answers) = context.OthersServe(instance, since: 0) ? context.RefusalsOfOthers(instance) : (1, 0);
        var isLongRow = inRow >= LongRow;
        if (outcome != CallOutcome.CallersError
            && RefusalRow.Improbability(inRow, rate) >= RefusalRow.Certainty
            && MayEject(startedAt)
            && (isLongRow || (inRow >= _options.ConsecutiveFailures && context.Refused.AreServedElsewhere(instance, first)))
            && context.OthersServe(instance, first))
        {
            Eject($"it {Verb(outcome)} the last {inRow} calls, and others serve");
        }

        // A few answers of others do not say how often they refuse. Where they have given none, as those who serve still connect, this may be a stranger,
        // or the first of those that are right to redirect or deny most calls.
        return outcome == CallOutcome.NotFound
            || RefusalRow.Improbability(inRow, Math.Max(rate, 1.0 / (answers + 1))) >= RefusalRow.Suspicion
            || (isLongRow && !context.OthersAnswered(instance));
    }

    /// <summary>Whether the latest refusals were none of a call with this hash key. Two keys may be taken for one.</summary>
    public bool IsNewlyRefused(string hashKey) => _refusals.IsNew(hashKey);

    /// <summary>To which request the next answer is such as strangers give, before <see cref="OnRefused"/>.</summary>
    public void OnStrangeAnswerTo(ulong request) => _refusals.OnStrangeAnswerTo(request);

    public void OnFailure(long startedAt, CallOutcome outcome)
    {
        _hasProblems = true;
        var rate = _failureRate;
        Volatile.Write(ref _failureRate, rate + (Smoothing * (1 - rate)));
        if (!MayEject(startedAt))
        {
            return;
        }

        var inRow = Interlocked.Increment(ref _failuresInRow);
        var connectInRow = outcome == CallOutcome.ConnectFailure ? Interlocked.Increment(ref _connectFailuresInRow) : 0;
        var last = outcome == CallOutcome.WrongServer ? ", the last an answer of somebody else" : "";
        if (_onProbation)
        {
            Eject("it failed again after its last ejection" + last);
        }
        else if (connectInRow >= (instance.IsHeld ? 1 : _options.ConsecutiveConnectFailures))
        {
            // Of one whose key is gone, nothing but its answers says that it is still there.
            Eject($"{connectInRow} failures in a row to connect{(instance.Transport is { } transport ? $", the last: {transport.LastFailure}" : "")}");
        }
        else if (inRow >= _options.ConsecutiveFailures)
        {
            Eject($"{inRow} failures in a row{last}");
        }
        else if (_failureRate * 100 >= _options.FailureRatePercent)
        {
            Eject($"{_failureRate:P0} of its last calls failed{last}");
        }
    }

    /// <summary>
    /// Whether a call that fails after its headers tells something new: all that were under way at one connection break with it. Asked once by each.
    /// </summary>
    public bool IsNewBreak(long startedAt)
    {
        var before = Volatile.Read(ref _brokenAt);
        return startedAt >= before && Interlocked.CompareExchange(ref _brokenAt, context.ReadClock(), before) == before;
    }

    /// <summary>The instance may be another process from now on: it is called at once, and a failure ejects it again.</summary>
    public void OnRegisteredAgain()
    {
        var until = EjectedUntil;
        var now = context.ReadClock();
        if (until > now)
        {
            Interlocked.CompareExchange(ref _ejectedUntil, now, until);
        }
    }

    /// <summary>
    /// A call ran out of time without an answer. Many that end at once may be one pause of the server; if one that began after another had
    /// ended gets no answer either, the server hangs. A deadline below what is usual is the caller's doing, unless it is a long time for any call.
    /// </summary>
    public void OnTimeout(long startedAt)
    {
        _hasProblems = true;
        if (!MayEject(startedAt) || context.ReadClock() - startedAt < Math.Min(context.UsualLatency, context.ToTicks(LongWait)))
        {
            return;
        }

        var inRow = Interlocked.Increment(ref _timeoutsInRow);
        if (inRow == 1)
        {
            Volatile.Write(ref _firstTimeoutAt, context.ReadClock());
        }

        if (_onProbation)
        {
            Eject("it did not answer again after its last ejection");
        }
        else if (inRow >= _options.ConsecutiveTimeouts && (inRow == 1 || startedAt >= Volatile.Read(ref _firstTimeoutAt)))
        {
            Eject($"{inRow} calls in a row got no answer in time");
        }
    }

    /// <summary>
    /// The instance does not serve a method. If others serve it, it is the wrong server; else it is the caller who is wrong, though others may serve
    /// other methods at the time. Where none of the latest requests was another's too, it takes a long row, and that others hardly ever answer so.
    /// </summary>
    public void OnUnimplemented(long startedAt)
    {
        _hasProblems = true;
        _refusals.AddToRate();
        if (!MayEject(startedAt))
        {
            return;
        }

        var inRow = Interlocked.Increment(ref _unimplementedInRow);
        if (inRow == 1)
        {
            Volatile.Write(ref _firstUnimplementedAt, startedAt);
        }

        var first = Volatile.Read(ref _firstUnimplementedAt);
        if (((_onProbation || inRow >= _options.ConsecutiveFailures) && context.Refused.AreServedElsewhere(instance, first))
            || (inRow >= LongRow
                && context.OthersServe(instance, first)
                && RefusalRow.Improbability(inRow, context.RefusalsOfOthers(instance).Highest) >= RefusalRow.Certainty))
        {
            Eject($"it does not serve what the last {(inRow == 1 ? "call" : $"{inRow} calls")} asked for, and others serve");
        }
    }

    /// <summary>An exception in the application's code, of a call that might have gone elsewhere.</summary>
    /// <param name="request">The request.</param>
    /// <param name="hashKey">Its hash key, if it has one.</param>
    /// <param name="startedAt">When it began.</param>
    public void OnThrown(ulong request, string? hashKey, long startedAt)
    {
        _hasProblems = true;
        var errors = LazyInitializer.EnsureInitialized(ref _errors, () => new ErrorRow(instance, context));
        errors.Add(request, hashKey, startedAt);
        if (MayEject(startedAt) && errors.FindReason(_options, hashKey is not null, _onProbation) is { } reason)
        {
            Eject(reason);
        }
    }

    private static string Verb(CallOutcome outcome) => outcome switch
    {
        CallOutcome.NotFound => "answered 404 to",
        CallOutcome.Redirected => "redirected",
        _ => "refused",
    };

    /// <summary>A call that began before the ejection, or in spite of it, says nothing about the time after it.</summary>
    private bool MayEject(long startedAt) => _options.Enabled && startedAt >= EjectedUntil;

    private void Recover(long startedAt)
    {
        var rate = _failureRate * (1 - Smoothing);
        Volatile.Write(ref _failureRate, rate < Negligible && _level == 0 ? 0 : rate);
        if (startedAt < EjectedUntil)
        {
            return;
        }

        ResetRows();
        _errors?.End();
        _onProbation = false;
        var changedAt = Volatile.Read(ref _levelChangedAt);
        if (_level > 0
            && startedAt - changedAt >= context.ToTicks(_options.BaseDuration)
            && Interlocked.CompareExchange(ref _levelChangedAt, startedAt, changedAt) == changedAt)
        {
            // The back-off shrinks as slowly as it grew, so that an instance that comes and goes does not start from nothing each time.
            Interlocked.Decrement(ref _level);
        }

        // A failure that is counted just now is not lost: the next success finds its row, or the next failure sets this again.
        _hasProblems = _failureRate > 0 || _level > 0 || _failuresInRow > 0 || !_refusals.IsForgotten || _errors is { IsForgotten: false };
    }

    private void ResetRows()
    {
        _failuresInRow = 0;
        _connectFailuresInRow = 0;
        _timeoutsInRow = 0;
        _unimplementedInRow = 0;
    }

    private void Eject(string reason)
    {
        var before = EjectedUntil;
        var now = context.ReadClock();
        if (before > now)
        {
            return;
        }

        var factor = Math.ScaleB(1, Math.Clamp(_level, 0, 30));
        var longest = Math.Min(_options.BaseDuration.TotalSeconds * factor, _options.MaxDuration.TotalSeconds);
        var seconds = longest * (0.9 + (0.2 * FastRandom.Fraction()));
        var ticks = (long)(seconds * context.TicksPerSecond);
        Reason = reason;
        if (Interlocked.CompareExchange(ref _ejectedUntil, now + ticks, before) != before)
        {
            return;
        }

        Interlocked.Increment(ref _level);
        Volatile.Write(ref _levelChangedAt, now + ticks);
        ResetRows();
        _errors?.Restart();
        _refusals.ForgetKeys();
        _onProbation = true;
        context.OnChanged(instance, isUrgent: true);
    }
}
