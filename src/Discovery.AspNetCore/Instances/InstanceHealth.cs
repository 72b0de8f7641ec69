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

    private readonly EjectionOptions _options = context.Options.Ejection;
    private long _ejectedUntil = long.MinValue;
    private long _levelChangedAt;
    private int _level;
    private int _failuresInRow;
    private int _connectFailuresInRow;
    private double _failureRate;
    private bool _onProbation;

    /// <summary>The share of failed calls among about the last 20, from 0 to 1.</summary>
    public double FailureRate
    {
        get => Volatile.Read(ref _failureRate);
        set => Volatile.Write(ref _failureRate, value);
    }

    /// <summary>When the latest ejection ends or ended, as a timestamp of the clock.</summary>
    public long EjectedUntil
    {
        get => Volatile.Read(ref _ejectedUntil);
        set => Volatile.Write(ref _ejectedUntil, value);
    }

    public bool WantsEjection(long now) => EjectedUntil > now;

    public void OnSuccess(long startedAt)
    {
        if (_failureRate > 0)
        {
            Recover(startedAt);
        }
    }

    public void OnFailure(long startedAt, bool isConnectFailure)
    {
        var rate = _failureRate;
        Volatile.Write(ref _failureRate, rate + (Smoothing * (1 - rate)));
        if (!_options.Enabled || startedAt < EjectedUntil)
        {
            // A call that began before the ejection, or in spite of it, says nothing about the time after it.
            return;
        }

        var inRow = Interlocked.Increment(ref _failuresInRow);
        var connectInRow = isConnectFailure ? Interlocked.Increment(ref _connectFailuresInRow) : 0;
        if (_onProbation)
        {
            Eject("it failed again after its last ejection");
        }
        else if (connectInRow >= _options.ConsecutiveConnectFailures)
        {
            Eject($"{connectInRow} failures in a row to connect, the last: {instance.Transport?.LastFailure}");
        }
        else if (inRow >= _options.ConsecutiveFailures)
        {
            Eject($"{inRow} failures in a row");
        }
        else if (_failureRate * 100 >= _options.FailureRatePercent)
        {
            Eject($"{_failureRate:P0} of its last calls failed");
        }
    }

    private void Recover(long startedAt)
    {
        var rate = _failureRate * (1 - Smoothing);
        Volatile.Write(ref _failureRate, rate < Negligible && _level == 0 ? 0 : rate);
        if (startedAt < EjectedUntil)
        {
            return;
        }

        _failuresInRow = 0;
        _connectFailuresInRow = 0;
        _onProbation = false;
        if (_level > 0 && startedAt - _levelChangedAt >= context.ToTicks(_options.BaseDuration))
        {
            // The back-off shrinks as slowly as it grew, so that an instance that comes and goes does not start from nothing each time.
            _level--;
            _levelChangedAt = startedAt;
        }
    }

    private void Eject(string reason)
    {
        var before = EjectedUntil;
        var now = context.ReadClock();
        if (before > now)
        {
            return;
        }

        var factor = Math.ScaleB(1, Math.Min(_level, 30));
        var longest = Math.Min(_options.BaseDuration.TotalSeconds * factor, _options.MaxDuration.TotalSeconds);
        var seconds = longest * (0.9 + (0.2 * FastRandom.Fraction()));
        var ticks = (long)(seconds * context.TicksPerSecond);
        if (Interlocked.CompareExchange(ref _ejectedUntil, now + ticks, before) != before)
        {
            return;
        }

        _level++;
        _levelChangedAt = now + ticks;
        _failuresInRow = 0;
        _connectFailuresInRow = 0;
        _onProbation = true;
        context.OnEjected(instance, reason, ticks);
    }
}
