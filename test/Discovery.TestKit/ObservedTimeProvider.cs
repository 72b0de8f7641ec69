using Microsoft.Extensions.Time.Testing;

namespace Discovery.TestKit;

/// <summary>A clock that moves only when told to, and tells how many timers are armed: a test can wait until the code under test sleeps.</summary>
public sealed class ObservedTimeProvider : FakeTimeProvider
{
    private int _armedTimers;

    /// <summary>How many timers wait for their time.</summary>
    public int ArmedTimers => Volatile.Read(ref _armedTimers);

    /// <inheritdoc />
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ObservedTimer(this, callback, state);
        timer.Start(base.CreateTimer(timer.Fire, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan), dueTime, period);
        return timer;
    }

    private sealed class ObservedTimer(ObservedTimeProvider clock, TimerCallback callback, object? state) : ITimer
    {
        private readonly Lock _gate = new();
        private ITimer _timer = null!;
        private bool _isArmed;
        private bool _isPeriodic;
        private bool _fired;

        public void Start(ITimer timer, TimeSpan dueTime, TimeSpan period)
        {
            _timer = timer;
            Change(dueTime, period);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (_gate)
            {
                _isPeriodic = period > TimeSpan.Zero;
                _fired = false;
            }

            var changed = _timer.Change(dueTime, period);

            // Counted only now: a test that sees it moves the clock, and must find the timer. It may have fired meanwhile.
            lock (_gate)
            {
                SetArmed(dueTime >= TimeSpan.Zero && !_fired);
            }

            return changed;
        }

        public void Fire(object? ignored)
        {
            lock (_gate)
            {
                if (!_isPeriodic)
                {
                    _fired = true;
                    SetArmed(false);
                }
            }

            callback(state);
        }

        public void Dispose()
        {
            _timer.Dispose();
            lock (_gate)
            {
                SetArmed(false);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void SetArmed(bool isArmed)
        {
            if (isArmed != _isArmed)
            {
                _isArmed = isArmed;
                Interlocked.Add(ref clock._armedTimers, isArmed ? 1 : -1);
            }
        }
    }
}
