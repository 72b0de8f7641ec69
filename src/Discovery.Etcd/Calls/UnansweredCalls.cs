namespace Discovery.Etcd.Calls;

/// <summary>
/// The calls that wait for their answer, in the order in which they were sent. All have the same limit, so that the first is the first to be
/// overdue and one timer serves all: most calls are answered within a fraction of it, and a timer for each would cost more than all else does.
/// </summary>
internal sealed class UnansweredCalls : IDisposable
{
    private readonly Lock _gate = new();
    private readonly TimeSpan _limit;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private UnansweredCall? _first;
    private UnansweredCall? _last;
    private bool _isTimerSet;
    private bool _isClosed;

    /// <summary>Creates the list.</summary>
    /// <param name="limit">How long a call may be unanswered.</param>
    /// <param name="time">The clock.</param>
    public UnansweredCalls(TimeSpan limit, TimeProvider time)
    {
        (_limit, _time) = (limit, time);
        _timer = Detached.CreateTimer(time, TakeOverOverdue);
    }

    /// <summary>Adds a call that was sent.</summary>
    /// <returns>Whether it was added; not after <see cref="Dispose"/>.</returns>
    public bool Add(UnansweredCall call)
    {
        lock (_gate)
        {
            if (_isClosed)
            {
                return false;
            }

            call.IsListed = true;
            call.Previous = _last;
            if (_last is null)
            {
                _first = call;
            }
            else
            {
                _last.Next = call;
            }

            _last = call;
            if (!_isTimerSet)
            {
                SetTimer(_limit - _time.GetElapsedTime(call.SentAt));
            }

            return true;
        }
    }

    /// <summary>Removes a call, for it ended.</summary>
    /// <returns>Whether it was there; if not, it was taken over before.</returns>
    public bool Remove(UnansweredCall call)
    {
        lock (_gate)
        {
            if (!call.IsListed)
            {
                return false;
            }

            Unlink(call);
            return true;
        }
    }

    /// <summary>Has all calls taken over, and takes no more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isClosed = true;
            while (_first is { } call)
            {
                Unlink(call);
                call.TakeOver();
            }
        }

        _timer.Dispose();
    }

    // A timer that fires for a call that has ended is set for the one that is first then. To end it with the call would cost as much as to set it.
    private void TakeOverOverdue()
    {
        lock (_gate)
        {
            _isTimerSet = false;
            while (!_isClosed && _first is { } call)
            {
                var left = _limit - _time.GetElapsedTime(call.SentAt);
                if (left > TimeSpan.Zero)
                {
                    SetTimer(left);
                    return;
                }

                Unlink(call);
                call.TakeOver();
            }
        }
    }

    // Timers count whole milliseconds; one that fired too soon would fire again and again.
    private void SetTimer(TimeSpan left)
    {
        _isTimerSet = true;
        _timer.Change(TimeSpan.FromMilliseconds(Math.Ceiling(Math.Max(0, left.TotalMilliseconds))), Timeout.InfiniteTimeSpan);
    }

    private void Unlink(UnansweredCall call)
    {
        if (call.Previous is null)
        {
            _first = call.Next;
        }
        else
        {
            call.Previous.Next = call.Next;
        }

        if (call.Next is null)
        {
            _last = call.Previous;
        }
        else
        {
            call.Next.Previous = call.Previous;
        }

        (call.Previous, call.Next, call.IsListed) = (null, null, false);
    }
}
