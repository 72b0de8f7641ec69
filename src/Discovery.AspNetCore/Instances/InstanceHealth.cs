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

    /// <summary>How many unknown errors count as one failure: most are exceptions that a request causes wherever it goes.</summary>
    private const int UnknownErrorsPerFailure = 10;

    /// <summary>How many times as many answers 404 are needed where no other instance was asked for the same.</summary>
    private const int UncomparedPerFailure = 4;

    /// <summary>
    /// What -ln of a probability must be: if the instance were as the others are, so many answers 404 in a row would come less often than once
    /// in a million.
    /// </summary>
    private const double Certainty = 14;

    /// <summary>Fewer say nothing of the instance.</summary>
    private const int LeastNotFoundInRow = 3;

    /// <summary>The least share of answers 404 that is taken for possible.</summary>
    private const double LeastNotFoundRate = 0.05;

    private readonly EjectionOptions _options = context.Options.Ejection;
    private long _ejectedUntil = long.MinValue;
    private long _levelChangedAt;
    private long _firstTimeoutAt;
    private long _firstUnimplementedAt;
    private long _firstNotFoundAt;
    private int _level;
    private int _failuresInRow;
    private int _connectFailuresInRow;
    private int _timeoutsInRow;
    private int _unimplementedInRow;
    private int _unknownErrorsInRow;
    private int _notFoundInRow;
    private double _notFoundRate;
    private double _failureRate;
    private bool _onProbation;
    private bool _hasProblems;

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

    /// <summary>Whether the latest calls say that the instance serves what it is asked for.</summary>
    public bool Serves => !_onProbation && _failuresInRow == 0 && _unimplementedInRow == 0;

    /// <summary>The share of answers 404 among about the last 20, from 0 to 1.</summary>
    public double NotFoundRate => Volatile.Read(ref _notFoundRate);

    public bool WantsEjection(long now) => EjectedUntil > now;

    public void OnSuccess(long startedAt)
    {
        if (_hasProblems)
        {
            _notFoundInRow = 0;
            var rate = _notFoundRate * (1 - Smoothing);
            _notFoundRate = rate < Negligible ? 0 : rate;
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
    /// An answer 404, usual where what is asked for does not exist, and all that a stranger at the instance's address has to say. It is one if it
    /// says nothing else while others serve the same requests, and if chance cannot be the reason.
    /// </summary>
    /// <returns>
    /// Whether it counts as load. So do several in a row from the start: a stranger answers at once, while those who serve still connect.
    /// </returns>
    public bool OnNotFound(long startedAt)
    {
        OnRefusal(startedAt);
        _hasProblems = true;
        _notFoundRate += Smoothing * (1 - _notFoundRate);
        var inRow = Interlocked.Increment(ref _notFoundInRow);
        if (inRow == 1)
        {
            Volatile.Write(ref _firstNotFoundAt, startedAt);
        }

        var first = Volatile.Read(ref _firstNotFoundAt);
        var needed = context.NotFound.AreServedElsewhere(instance, first) ? _options.ConsecutiveFailures : UncomparedPerFailure * _options.ConsecutiveFailures;
        if (MayEject(startedAt)
            && inRow >= needed
            && context.OthersServe(instance, first)
            && inRow * -Math.Log(Math.Min(1, context.HighestNotFoundRate(instance) + LeastNotFoundRate)) >= Certainty)
        {
            Eject($"it answered the last {inRow} calls with 404, and others serve");
        }

        return inRow >= LeastNotFoundInRow;
    }

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
            Eject($"{connectInRow} failures in a row to connect, the last: {instance.Transport?.LastFailure}");
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
    /// A call ran out of time without any answer. Many that end at once may be one pause of the server; if one that began after another had
    /// ended gets no answer either, the server hangs.
    /// </summary>
    public void OnTimeout(long startedAt)
    {
        _hasProblems = true;
        if (!MayEject(startedAt))
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

    /// <summary>The instance does not serve a method. If others serve, it is the wrong server; else it is the caller who is wrong.</summary>
    public void OnUnimplemented(long startedAt)
    {
        _hasProblems = true;
        if (!MayEject(startedAt))
        {
            return;
        }

        var inRow = Interlocked.Increment(ref _unimplementedInRow);
        if (inRow == 1)
        {
            Volatile.Write(ref _firstUnimplementedAt, startedAt);
        }

        if ((_onProbation || inRow >= _options.ConsecutiveFailures) && context.OthersServe(instance, Volatile.Read(ref _firstUnimplementedAt)))
        {
            Eject($"it does not serve what the last {(inRow == 1 ? "call" : $"{inRow} calls")} asked for, and others serve");
        }
    }

    public void OnUnknownError(long startedAt)
    {
        _hasProblems = true;
        if (MayEject(startedAt) && Interlocked.Increment(ref _unknownErrorsInRow) is var inRow && inRow >= UnknownErrorsPerFailure * _options.ConsecutiveFailures)
        {
            Eject($"{inRow} errors in a row with status UNKNOWN");
        }
    }

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
        _hasProblems = _failureRate > 0 || _level > 0 || _failuresInRow > 0 || _notFoundRate > 0;
    }

    private void ResetRows()
    {
        _failuresInRow = 0;
        _connectFailuresInRow = 0;
        _timeoutsInRow = 0;
        _unimplementedInRow = 0;
        _unknownErrorsInRow = 0;
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
        _onProbation = true;
        context.OnChanged(isUrgent: true);
    }
}
