using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>What a keeper shows of itself. Changes are announced one at a time.</summary>
internal sealed partial class LeaseStatusBoard(WantedKeys keys, ILogger logger)
{
    private readonly Lock _gate = new();
    private EtcdLeaseState _state;
    private long _leaseId;
    private LeaseClock? _clock;
    private Exception? _lastError;
    private (int Stored, int Wanted) _announced;

    public event Action<EtcdLeaseStatus>? Changed;

    /// <summary>The lease held; 0 for none.</summary>
    public long LeaseId
    {
        get
        {
            lock (_gate)
            {
                return _leaseId;
            }
        }
    }

    public EtcdLeaseStatus Current
    {
        get
        {
            lock (_gate)
            {
                return new EtcdLeaseStatus
                {
                    State = _state,
                    LeaseId = _leaseId,
                    TimeToLive = _clock?.TimeToLive ?? TimeSpan.Zero,
                    Remaining = _clock?.Remaining ?? TimeSpan.Zero,
                    KeysStored = keys.Stored,
                    KeysWanted = keys.Wanted,
                    LastError = _lastError,
                };
            }
        }
    }

    public void Granting() => Set(EtcdLeaseState.Granting, 0, null);

    public void Held(long leaseId, LeaseClock clock) => Set(EtcdLeaseState.Held, leaseId, clock);

    public void Lost() => Set(EtcdLeaseState.Lost, 0, null);

    public void Stopped() => Set(EtcdLeaseState.Stopped, 0, null);

    /// <summary>A renewal succeeded: what failed before is over.</summary>
    public void Renewed()
    {
        lock (_gate)
        {
            if (_lastError is null)
            {
                return;
            }

            _lastError = null;
            AnnounceLockHeld();
        }
    }

    public void Failed(Exception error)
    {
        lock (_gate)
        {
            _lastError = error;
            AnnounceLockHeld();
        }
    }

    /// <summary>Announces the numbers of keys, if they changed.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            if (_announced != (keys.Stored, keys.Wanted))
            {
                AnnounceLockHeld();
            }
        }
    }

    private void Set(EtcdLeaseState state, long leaseId, LeaseClock? clock)
    {
        lock (_gate)
        {
            if (_state == EtcdLeaseState.Stopped)
            {
                return;
            }

            (_state, _leaseId, _clock) = (state, leaseId, clock);
            AnnounceLockHeld();
        }
    }

    private void AnnounceLockHeld()
    {
        _announced = (keys.Stored, keys.Wanted);
        try
        {
            Changed?.Invoke(Current);
        }
        catch (Exception e)
        {
            // A handler's mistake must not cost the lease.
            Log.HandlerFailed(logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "A handler of StatusChanged failed.")]
        public static partial void HandlerFailed(ILogger logger, Exception exception);
    }
}
