using Discovery.Etcd;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// Decides when a pool is built anew. The first change counts at once; those that follow are collected, so that however stormy the cluster,
/// little is built, and the last one is never lost. The clock is that of the machine, whatever clock the application goes by: it is the
/// processor's time that is spared.
/// </summary>
internal sealed class RebuildSchedule : IDisposable
{
    /// <summary>Four times a second is soon enough for a change, and seldom enough for a service of thousands.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Until an urgent change counts, calls go wrong. So a few in a row count at once.</summary>
    public const int UrgentInRow = 10;

    /// <summary>All instances of a large service may have an urgent change within a second; those beyond a few are collected this long.</summary>
    private static readonly TimeSpan UrgentInterval = TimeSpan.FromMilliseconds(50);

    private readonly Action _rebuild;
    private readonly TimeProvider _clock;
    private readonly ITimer _timer;
    private int _isRequested;
    private int _urgentLeft = UrgentInRow;
    private long _rebuiltAt;

    public RebuildSchedule(Action rebuild, TimeProvider clock)
    {
        _rebuild = rebuild;
        _clock = clock;
        _rebuiltAt = clock.GetTimestamp() - clock.TimestampFrequency;
        _timer = Detached.CreateTimer(clock, RebuildIfRequested);
    }

    /// <summary>Has the pool built anew on another thread: neither a failing call nor the directory must pay for it.</summary>
    public void Request(bool isUrgent)
    {
        var isFirst = Interlocked.Exchange(ref _isRequested, 1) == 0;
        if (!isFirst && !isUrgent)
        {
            return;
        }

        var elapsed = _clock.GetElapsedTime(Volatile.Read(ref _rebuiltAt));
        if (elapsed >= Interval)
        {
            Volatile.Write(ref _urgentLeft, UrgentInRow);
        }

        var wait = (isUrgent ? UrgentInterval : Interval) - elapsed;
        if (wait <= TimeSpan.Zero || (isUrgent && Interlocked.Decrement(ref _urgentLeft) >= 0))
        {
            ThreadPool.UnsafeQueueUserWorkItem(static s => s.RebuildIfRequested(), this, preferLocal: false);
        }
        else
        {
            _timer.Change(wait, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The pool begins to build: what is requested from here on asks again, and what was requested before is seen. A full fence.</summary>
    public void OnBegun() => Interlocked.Exchange(ref _isRequested, 0);

    /// <summary>The pool was built, or could not be.</summary>
    public void OnEnded() => Volatile.Write(ref _rebuiltAt, _clock.GetTimestamp());

    public void Dispose() => _timer.Dispose();

    private void RebuildIfRequested()
    {
        // Who waited for the first snapshot may have been quicker; another balancer would begin its rounds anew.
        if (Volatile.Read(ref _isRequested) != 0)
        {
            _rebuild();
        }
    }
}
