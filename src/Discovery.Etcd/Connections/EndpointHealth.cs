namespace Discovery.Etcd.Connections;

/// <summary>How an endpoint fared lately with one kind of call, and how long it is left alone for it.</summary>
internal sealed class EndpointHealth(TimeProvider time)
{
    // A failed endpoint is left alone for 250 ms, then ever longer, up to 15 s: short enough to find a restarted member
    // soon, long enough not to spend an attempt's limit on a dead one at each call.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    private const long Never = long.MinValue;

    private readonly Lock _gate = new();

    // What nearly every call asks and says, and so without the lock.
    private volatile bool _isSound = true;
    private int _failures;
    private int _refusals;
    private long _failedAt;
    private long _answeredAt = Never;
    private long _firstUsedAt = Never;
    private TimeSpan _pause;
    private Exception? _cause;
    private string? _failure;

    /// <summary>Why it failed last; <see langword="null"/> when it is in good order, or was only silent.</summary>
    public Exception? Cause
    {
        get
        {
            lock (_gate)
            {
                return _cause;
            }
        }
    }

    /// <summary>Why it failed last, as people are told; <see langword="null"/> when it is in good order, or was only silent.</summary>
    public string? Failure
    {
        get
        {
            lock (_gate)
            {
                return _failure;
            }
        }
    }

    /// <summary>How long ago it last answered; <see langword="null"/> when it never did.</summary>
    public TimeSpan? SinceAnswer => Volatile.Read(ref _answeredAt) is var at and not Never ? time.GetElapsedTime(at) : null;

    /// <summary>How long ago it was first used; <see langword="null"/> when it never was.</summary>
    public TimeSpan? SinceFirstUse => Volatile.Read(ref _firstUsedAt) is var at and not Never ? time.GetElapsedTime(at) : null;

    /// <summary>How long the endpoint is still to be left alone; zero when it is in good order.</summary>
    public TimeSpan PauseLeft
    {
        get
        {
            if (_isSound)
            {
                return TimeSpan.Zero;
            }

            lock (_gate)
            {
                if (_failures == 0)
                {
                    return TimeSpan.Zero;
                }

                var left = _pause - time.GetElapsedTime(_failedAt);
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>It is about to be used.</summary>
    public void Used(long now)
    {
        if (Volatile.Read(ref _firstUsedAt) == Never)
        {
            Interlocked.CompareExchange(ref _firstUsedAt, now, Never);
        }
    }

    /// <summary>It answered.</summary>
    public void Succeeded()
    {
        Volatile.Write(ref _answeredAt, time.GetTimestamp());
        if (_isSound)
        {
            return;
        }

        lock (_gate)
        {
            _failures = 0;
            _refusals = 0;
            (_cause, _failure) = (null, null);
            _isSound = true;
        }
    }

    /// <summary>It did not answer, or not as a working member does.</summary>
    /// <param name="cause">What it did, if anything.</param>
    /// <param name="failure">What people are told of it; null for nothing, as of one that was only silent.</param>
    public void Failed(Exception? cause = null, string? failure = null)
    {
        lock (_gate)
        {
            (_cause, _failure) = (cause, failure);
            _isSound = false;

            // Calls that run together fail together: that is one failure, not several.
            var since = time.GetElapsedTime(_failedAt);
            if (_failures > 0 && since < _pause)
            {
                return;
            }

            _failures = Math.Min(_failures + 1, 16);
            _failedAt = time.GetTimestamp();
            _pause = Jitter.Spread(Jitter.Grow(FirstPause, _failures, LongestPause));
        }
    }

    /// <summary>The member at the other end answered that it cannot serve now.</summary>
    /// <returns>How many times in a row.</returns>
    public int Refused()
    {
        lock (_gate)
        {
            _isSound = false;
            return ++_refusals;
        }
    }
}
