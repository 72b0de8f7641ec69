namespace Grpc.Protocol;

/// <summary>Runs an action once when a deadline has passed, however far away it is.</summary>
internal sealed class DeadlineTimer : IDisposable
{
    // A timer takes at most 49.7 days.
    private static readonly TimeSpan MaxDueTime = TimeSpan.FromDays(49);

    private readonly TimeProvider _time = TimeProvider.System;
    private readonly DateTime _deadline;
    private readonly Action _passed;
    private readonly ITimer _timer;

    public DeadlineTimer(DateTime deadline, Action passed)
    {
        _deadline = deadline;
        _passed = passed;

        // A timer must not keep the caller's AsyncLocals alive.
        using (ExecutionContext.SuppressFlow())
        {
            _timer = _time.CreateTimer(static state => ((DeadlineTimer)state!).Fire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        Schedule();
    }

    public void Dispose() => _timer.Dispose();

    private void Fire()
    {
        if (_time.GetUtcNow().UtcDateTime < _deadline)
        {
            Schedule();
        }
        else
        {
            _passed();
        }
    }

    private void Schedule()
    {
        // A millisecond more, since timers count whole milliseconds and would fire just before.
        var remaining = _deadline - _time.GetUtcNow().UtcDateTime + TimeSpan.FromMilliseconds(1);
        _timer.Change(TimeSpan.FromTicks(Math.Clamp(remaining.Ticks, 0, MaxDueTime.Ticks)), Timeout.InfiniteTimeSpan);
    }
}
