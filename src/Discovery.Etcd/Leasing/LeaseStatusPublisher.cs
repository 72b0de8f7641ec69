using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>
/// What a keeper shows of itself. Changes are announced one at a time, under a lock of their own: the present state can be read whatever a
/// handler does or waits for.
/// </summary>
internal sealed partial class LeaseStatusPublisher
{
    private readonly Lock _announcing = new();
    private readonly Lock _gate = new();
    private readonly DesiredKeys _keys;
    private readonly KeeperFailures _failures;
    private readonly ILogger _logger;
    private EtcdLeaseState _state;
    private HeldLease? _lease;
    private (int Stored, int Desired, long Generation) _announced;

    public LeaseStatusPublisher(DesiredKeys keys, KeeperFailures failures, ILogger logger)
    {
        (_keys, _failures, _logger) = (keys, failures, logger);
        failures.Changed += Announce;
    }

    public event Action<EtcdLeaseStatus>? Changed;

    public EtcdLeaseStatus Current
    {
        get
        {
            EtcdLeaseState state;
            HeldLease? lease;
            lock (_gate)
            {
                (state, lease) = (_state, _lease);
            }

            return new EtcdLeaseStatus
            {
                State = state,
                LeaseId = lease?.Id ?? 0,
                TimeToLive = lease?.Clock.TimeToLive ?? TimeSpan.Zero,
                Remaining = lease?.Clock.Remaining ?? TimeSpan.Zero,
                KeysStored = _keys.Stored,
                KeysDesired = _keys.Desired,
                LastError = _failures.LastError,
                ReadError = _failures.ReadError,
            };
        }
    }

    public void Set(EtcdLeaseState state, HeldLease? lease = null)
    {
        lock (_announcing)
        {
            lock (_gate)
            {
                if (_state == EtcdLeaseState.Stopped || (_state == state && _lease == lease))
                {
                    return;
                }

                (_state, _lease) = (state, lease);
            }

            Announce();
        }
    }

    /// <summary>
    /// Announces the numbers of keys if they changed, or what is desired did: a key that came and went between two looks leaves the numbers as
    /// they were.
    /// </summary>
    public void Refresh()
    {
        lock (_announcing)
        {
            if (_announced != (_keys.Stored, _keys.Desired, _keys.Generation))
            {
                Announce();
            }
        }
    }

    private void Announce()
    {
        lock (_announcing)
        {
            // First, so that a change in between is announced once more and not never.
            var generation = _keys.Generation;
            var current = Current;
            _announced = (current.KeysStored, current.KeysDesired, generation);
            try
            {
                Changed?.Invoke(current);
            }
            catch (Exception e)
            {
                // A handler's mistake must not cost the lease.
                Log.HandlerFailed(_logger, e);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1121, LogLevel.Error, "A handler of StatusChanged failed.")]
        public static partial void HandlerFailed(ILogger logger, Exception exception);
    }
}
