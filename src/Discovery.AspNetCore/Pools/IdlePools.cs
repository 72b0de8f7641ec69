using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// Forgets pools of names that no registered client has, once nobody calls them: a name from a URL, or a typo, must not be kept for ever. First
/// such a pool is found no longer, and at a later look, when nothing goes by it, its watch is given back.
/// </summary>
internal sealed partial class IdlePools(TimeProvider time) : IDisposable
{
    /// <summary>How long a pool is kept that nobody calls.</summary>
    public static readonly TimeSpan IdleTime = ServiceDirectory.IdleTime;

    private readonly Lock _gate = new();
    private readonly HashSet<PoolEntry> _entries = [];
    private List<(PoolEntry Entry, ServicePool Pool)> _forgotten = [];
    private ITimer? _timer;
    private int _isLooking;
    private bool _disposed;

    /// <summary>Has a pool forgotten when nobody calls it.</summary>
    public void Add(PoolEntry entry)
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                entry.UsedAt = time.GetTimestamp();
                _entries.Add(entry);
                _timer ??= Detached.CreateTimer(time, Look, IdleTime / 10);
            }
        }
    }

    /// <summary>Ends those that are forgotten and not given back yet.</summary>
    public void Dispose()
    {
        List<(PoolEntry Entry, ServicePool Pool)> forgotten;
        lock (_gate)
        {
            _disposed = true;
            _timer?.Dispose();
            (forgotten, _forgotten) = (_forgotten, []);
        }

        foreach (var (entry, pool) in forgotten)
        {
            pool.Dispose();
            entry.Release();
        }
    }

    private void Look()
    {
        if (Interlocked.Exchange(ref _isLooking, 1) != 0)
        {
            // The look before takes longer than the time between two.
            return;
        }

        try
        {
            EndForgotten();
            ForgetIdle();
        }
        finally
        {
            Volatile.Write(ref _isLooking, 0);
        }
    }

    private void EndForgotten()
    {
        List<(PoolEntry Entry, ServicePool Pool)> ended = [];
        lock (_gate)
        {
            _forgotten.RemoveAll(forgotten =>
            {
                if (forgotten.Pool.IsBusy)
                {
                    return false;
                }

                ended.Add(forgotten);
                return true;
            });
        }

        foreach (var (entry, pool) in ended)
        {
            pool.Detach();
            entry.Release();
        }
    }

    private void ForgetIdle()
    {
        List<PoolEntry> entries;
        lock (_gate)
        {
            entries = [.. _entries];
        }

        // Without the lock: the status may be that of the application's own directory.
        foreach (var entry in entries)
        {
            if (entry.TakeUse() || entry.Pool!.IsBusy || MustStay(entry))
            {
                entry.UsedAt = time.GetTimestamp();
            }
            else if (time.GetElapsedTime(entry.UsedAt) >= IdleTime)
            {
                Forget(entry, entry.Pool);
            }
        }
    }

    private void Forget(PoolEntry entry, ServicePool pool)
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _entries.Remove(entry);
            _forgotten.Add((entry, pool));
        }

        entry.Unlink();
        Log.Idle(pool.Logger, pool.ServiceName, IdleTime);
    }

    /// <summary>
    /// Whether a pool without calls is of use: its instances are asked for, and must be there at once, or etcd is away, and could not be asked for
    /// them again.
    /// </summary>
    private static bool MustStay(PoolEntry entry)
        => entry.Pool is { Current.Instances.Count: > 0 } pool && (entry.IsListed || !pool.IsConnected);

    private static partial class Log
    {
        [LoggerMessage(2305, LogLevel.Debug, "Service '{Service}' is no longer kept ready for calls: no registered client is for it, and nobody called it "
            + "for {IdleTime}.")]
        public static partial void Idle(ILogger logger, string service, TimeSpan idleTime);
    }
}
