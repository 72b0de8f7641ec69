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
/// <param name="isHeldAside">Whether another registration of this application has a key in etcd that this one stands aside for.</param>
internal sealed partial class RegistrationReport(
    TimeProvider time,
    ILogger logger,
    Func<IEnumerable<Uri>> endpoints,
    Action<TimeSpan>? onRegisteredAgain = null,
    Func<string, bool>? isHeldAside = null)
{
    private const int RememberedLeases = 8;
    private const string Unknown = "etcd does not know it any more: somebody revoked it, it ran out while this process was paused, or etcd lost its data.";

    // Keys that a replica of this application holds for it too.
    private readonly ConcurrentDictionary<string, byte> _shared = new(StringComparer.Ordinal);

    // Keys that another registration of this application has put into the same etcd.
    private readonly ConcurrentDictionary<string, byte> _aside = new(StringComparer.Ordinal);

    private readonly Lock _gate = new();

    private volatile Conflict? _conflict;
    private volatile string? _duplicate;

    // Under the gate.
    private string _desired = "";
    private string? _announced;
    private long? _lostAt;
    private int _leasesLost;
    private volatile IReadOnlyList<long> _leases = [];

    /// <summary>What an operator has to put right, or <see langword="null"/>.</summary>
    public string? Problem => _conflict?.Text ?? _duplicate;

    /// <summary>How many keys of this application a replica holds for it too.</summary>
    public int Shared => _shared.Count;

    /// <summary>How many leases were lost.</summary>
    public int LeasesLost => Volatile.Read(ref _leasesLost);

    /// <summary>Whether a failure is that etcd does not answer.</summary>
    public static bool IsOutage(Exception? error)
        => error is TimeoutException or EtcdException { StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded };

    /// <summary>Whether no waiting changes it.</summary>
    public static bool IsLasting(EtcdException error) => error.Reason is EtcdErrorReason.PermissionDenied or EtcdErrorReason.AuthenticationRequired
        or EtcdErrorReason.AuthenticationFailed or EtcdErrorReason.AuthenticationNotEnabled or EtcdErrorReason.RequestTooLarge or EtcdErrorReason.NoSpace
        or EtcdErrorReason.Corrupt
        or EtcdErrorReason.TlsFailed;

    /// <summary>Whether the last that was heard of etcd is an answer, be it a refusal.</summary>
    public static bool IsAnswering(EtcdLeaseStatus lease)
        => lease.LastError is null || (lease.LastError is EtcdException { Reason: not EtcdErrorReason.TlsFailed } error && IsLasting(error));

    public bool AllStand(EtcdLeaseStatus lease)
        => lease is { State: EtcdLeaseState.Held, KeysDesired: > 0 } && lease.KeysStored + _shared.Count + CountAside() >= lease.KeysDesired;

    /// <summary>Whether a lease is, or was, that of this registration. What is held for lost may still live at the server.</summary>
    public bool Owns(long leaseId) => _leases.Contains(leaseId);

    /// <summary>Whether a key was last seen in the hands of another process, or of another registration of this one.</summary>
    public bool IsOwnedByOther(string key) => IsAside(key) || _conflict?.Key == key;

    /// <summary>Whether another registration of this application was seen to hold a key.</summary>
    public bool IsAside(string key) => _aside.ContainsKey(key);

    /// <summary>A replica that advertises the same URL holds a key that the layout has but once for all of them.</summary>
    public void OnShared(EtcdKeyValue record)
    {
        _shared.TryAdd(record.Key, 0);
        Log.Shared(logger, record.Key, record.LeaseId);
    }

    /// <summary>Another registration of this application holds a key, for both lead to one etcd.</summary>
    public void OnAside(string key)
    {
        _shared.TryRemove(key, out _);
        _aside.TryAdd(key, 0);
    }

    /// <summary>This registration holds a key that it stood aside for.</summary>
    public void OnHeld(string key) => _aside.TryRemove(key, out _);

    /// <summary>A key of this application is owned by another process.</summary>
    public void OnConflict(EtcdKeyValue record)
    {
        _shared.TryRemove(record.Key, out _);
        _aside.TryRemove(record.Key, out _);
        _conflict = new Conflict(record.Key, Report(record.LeaseId == 0
            ? $"The key {record.Key} of this application was overwritten without a lease, as by hand, so nothing takes it away again. It is left alone; "
                + $"delete it, as by 'etcdctl del {record.Key}', and this application puts its own at once."
            : $"The key {record.Key} of this application is owned by another process (lease {record.LeaseId:x}), which advertises the same "
                + "address. It is left alone until that one is gone; check Etcd:Registration:AdvertisedUrls, AdvertisedHost and AdvertisedPort of both."));
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
        foreach (var key in _shared.Keys.Concat(_aside.Keys).Except(keys, StringComparer.Ordinal))
        {
            _shared.TryRemove(key, out _);
            _aside.TryRemove(key, out _);
        }

        if (_conflict is { } conflict && !keys.Contains(conflict.Key, StringComparer.Ordinal))
        {
            _conflict = null;
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
        if (lease.LeaseId != 0 && !_leases.Contains(lease.LeaseId))
        {
            // Before anything is put on it, so that who finds a key on it knows whose it is.
            _leases = [lease.LeaseId, .. _leases.Take(RememberedLeases - 1)];
        }

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
                _aside.Clear();
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

    private int CountAside() => isHeldAside is null ? 0 : _aside.Keys.Count(isHeldAside);

    private string Report(string problem)
    {
        Log.Problem(logger, problem);
        return problem;
    }

    /// <summary>What is said of a key that another process owns.</summary>
    private sealed record Conflict(string Key, string Text);

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
