using System.Collections.Concurrent;
using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>What operators are told of a registration: how its lease and its keys stand, and what they have to put right.</summary>
/// <param name="time">The clock.</param>
/// <param name="logger">Where they are told.</param>
/// <param name="endpoints">Which endpoints of etcd answer at present.</param>
/// <param name="onRegisteredAgain">Called when the keys stand again after a lease was lost, with the time since.</param>
internal sealed partial class RegistrationReport(
    TimeProvider time, ILogger logger, Func<IEnumerable<Uri>> endpoints, Action<TimeSpan>? onRegisteredAgain = null)
{
    private const string Unknown = "etcd does not know it any more: somebody revoked it, it ran out while this process was paused, or etcd lost its data.";

    // Keys that a replica of this application holds for it too.
    private readonly ConcurrentDictionary<string, byte> _shared = new(StringComparer.Ordinal);

    private readonly Lock _gate = new();

    private volatile string? _conflict;
    private volatile string? _duplicate;

    // Under the gate.
    private string _desired = "";
    private string? _announced;
    private long? _lostAt;
    private int _leasesLost;

    /// <summary>What an operator has to put right, or <see langword="null"/>.</summary>
    public string? Problem => _conflict ?? _duplicate;

    /// <summary>How many keys of this application a replica holds for it too.</summary>
    public int Shared => _shared.Count;

    /// <summary>How many leases were lost.</summary>
    public int LeasesLost => Volatile.Read(ref _leasesLost);

    /// <summary>Whether a failure is that etcd does not answer.</summary>
    public static bool IsOutage(Exception? error)
        => error is TimeoutException or EtcdException { StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded };

    public bool AllStand(EtcdLeaseStatus lease)
        => lease is { State: EtcdLeaseState.Held, KeysDesired: > 0 } && lease.KeysStored + _shared.Count >= lease.KeysDesired;

    /// <summary>A replica that advertises the same URL holds a key that the layout has but once for all of them.</summary>
    public void OnShared(EtcdKeyValue record)
    {
        _shared.TryAdd(record.Key, 0);
        Log.Shared(logger, record.Key, record.LeaseId);
    }

    /// <summary>A key of this application is owned by another process.</summary>
    public void OnConflict(EtcdKeyValue record)
    {
        _shared.TryRemove(record.Key, out _);
        _conflict = Report(record.LeaseId == 0
            ? $"The key {record.Key} of this application was overwritten without a lease, as by hand, so nothing takes it away again. It is left alone; "
                + $"delete it, as by 'etcdctl del {record.Key}', and this application puts its own at once."
            : $"The key {record.Key} of this application is owned by another process (lease {record.LeaseId:x}), which advertises the same "
                + "address. It is left alone until that one is gone; check Etcd:Registration:AdvertisedUrls, AdvertisedHost and AdvertisedPort of both.");
    }

    /// <summary>Another process has this one's id. Nobody looks again, so this holds until the next start.</summary>
    public void OnDuplicateId(string instanceId, IEnumerable<string> keys) => _duplicate = Report(
        $"The id of this application, '{instanceId}', is that of another process too, which holds {string.Join(", ", keys)}. "
        + "Give each its own Etcd:Registration:InstanceId, or leave it unset.");

    /// <summary>
    /// These keys are to stand from now on. None: the application is out of service, and its return is news, however soon it comes.
    /// </summary>
    public void OnDesired(IEnumerable<string> keys)
    {
        // One that is desired again later is claimed again, and does not stand before it is.
        foreach (var key in _shared.Keys.Except(keys, StringComparer.Ordinal))
        {
            _shared.TryRemove(key, out _);
        }

        lock (_gate)
        {
            _desired = string.Join(", ", keys);
            if (_desired.Length == 0)
            {
                _announced = null;
                _lostAt = null;
            }
        }
    }

    /// <summary>Follows the lease.</summary>
    public void OnLease(EtcdLeaseStatus lease)
    {
        lock (_gate)
        {
            OnLeaseGateHeld(lease);
        }
    }

    private void OnLeaseGateHeld(EtcdLeaseStatus lease)
    {
        Log.Lease(logger, lease.State, lease.LeaseId, lease.KeysStored, lease.KeysDesired);
        if (lease.State == EtcdLeaseState.Lost)
        {
            _leasesLost++;

            // While etcd is away one lease after the other may be lost; that is one outage.
            _announced = null;
            if (_lostAt is null && _desired.Length > 0)
            {
                // While etcd is away the client has warned already, and says at the end for how long it was.
                _lostAt = time.GetTimestamp();
                Log.LeaseLost(logger, IsOutage(lease.LastError) ? LogLevel.Information : LogLevel.Warning, lease.LastError?.Message ?? Unknown);
            }
        }
        else if (AllStand(lease))
        {
            if (lease.KeysStored == lease.KeysDesired)
            {
                _shared.Clear();
            }

            _conflict = null;
            if (_desired.Length == 0)
            {
                // Out of service: the last keys are being deleted.
                return;
            }

            if (_lostAt is { } lostAt)
            {
                _lostAt = null;
                _announced = _desired;
                var after = time.GetElapsedTime(lostAt);
                Log.RegisteredAgain(logger, after.TotalSeconds, _desired, lease.LeaseId, lease.TimeToLive);
                onRegisteredAgain?.Invoke(after);
            }
            else if (_desired != _announced)
            {
                _announced = _desired;
                Log.Registered(logger, _desired, string.Join(", ", endpoints()), lease.LeaseId, lease.TimeToLive);
            }
        }
    }

    private string Report(string problem)
    {
        Log.Problem(logger, problem);
        return problem;
    }

    private static partial class Log
    {
        [LoggerMessage(2726, LogLevel.Information, "The key {Key} is held by a replica that advertises the same URL (lease {Lease:x}). This "
            + "application has it when that one leaves.")]
        public static partial void Shared(ILogger logger, string key, long lease);

        [LoggerMessage(2721, LogLevel.Error, "{Problem}")]
        public static partial void Problem(ILogger logger, string problem);

        [LoggerMessage(2722, LogLevel.Debug, "The lease is {State} ({Lease:x}), {Stored} of {Wanted} keys are stored.")]
        public static partial void Lease(ILogger logger, EtcdLeaseState state, long lease, int stored, int wanted);

        [LoggerMessage(EventId = 2723, Message = "The lease of this application's keys is lost; a new one is asked for, and the keys are put "
            + "again. {Reason}")]
        public static partial void LeaseLost(ILogger logger, LogLevel level, string reason);

        [LoggerMessage(2724, LogLevel.Information, "Registered in etcd: {Keys} at {Endpoints} (lease {Lease:x} for {TimeToLive}).")]
        public static partial void Registered(ILogger logger, string keys, string endpoints, long lease, TimeSpan timeToLive);

        [LoggerMessage(2725, LogLevel.Information, "Registered in etcd again, {Seconds:0.0} s after the lease was lost: {Keys} (lease {Lease:x} "
            + "for {TimeToLive}).")]
        public static partial void RegisteredAgain(ILogger logger, double seconds, string keys, long lease, TimeSpan timeToLive);
    }
}
