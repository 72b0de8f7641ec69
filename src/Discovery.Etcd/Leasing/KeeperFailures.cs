using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>What a keeper may fail at.</summary>
internal enum FailureArea
{
    /// <summary>Getting or renewing the lease.</summary>
    Lease,

    /// <summary>Writing or deleting a key.</summary>
    Write,

    /// <summary>Reading a key again after its watch lost events.</summary>
    Watch,

    /// <summary>Reading a key that can be written: its changes by others go unnoticed.</summary>
    ReadPermission,
}

/// <summary>A cause of failures. Each has at most one error, which stands until the cause is over.</summary>
internal readonly record struct FailureCause(FailureArea Area, string Key = "");

/// <summary>
/// The failures of a keeper that are not over. What is the same for many keys or attempts is logged once: an outage when it begins and
/// when it ends, a refusal when it appears and then once a minute for all keys together.
/// </summary>
internal sealed partial class KeeperFailures(EtcdOutage outage, TimeProvider time, ILogger logger)
{
    private const int LoggedNames = 5;

    private static readonly TimeSpan RefusalReminder = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();

    // Under the gate, which is held while things are logged, so that they are in order.
    private readonly OrderedDictionary<FailureCause, Exception> _standing = [];
    private readonly HashSet<(FailureArea Area, StatusCode Code)> _loggedRefusals = [];

    // Until the cause is over: that etcd cannot be reached meanwhile says nothing of what it would answer.
    private readonly HashSet<FailureCause> _refused = [];
    private volatile bool _isUnavailable;
    private long? _refusedSince;
    private long _refusalLoggedAt;
    private bool _isReadDenied;

    // What others see of those that stand, without the gate: a provider of logs may read the keeper's status, or wait for who does. What it has was
    // logged before.
    private volatile KeyValuePair<FailureCause, Exception>[] _shown = [];

    private enum Kind
    {
        Unavailable,
        Refused,
        ReadDenied,
    }

    /// <summary>Raised when a failure appeared, changed its nature or ended; not when the same one is met again.</summary>
    public event Action? Changed;

    /// <summary>The latest failure whose cause still stands.</summary>
    public Exception? LastError => Last(Kind.Unavailable, Kind.Refused);

    /// <summary>Why keys of ours cannot be read.</summary>
    public Exception? ReadError => Last(Kind.ReadDenied);

    public bool IsUnavailable => _isUnavailable;

    public void Failed(FailureCause cause, Exception error)
    {
        lock (_gate)
        {
            Log.AttemptFailed(logger, cause.Area, cause.Key, error.Message);
            var isSame = StandGateHeld(cause, error);
            Report(cause, error);
            _shown = [.. _standing];
            if (isSame)
            {
                return;
            }
        }

        Changed?.Invoke();
    }

    /// <summary>A cause is over, if there was one.</summary>
    public void Succeeded(FailureCause cause)
    {
        lock (_gate)
        {
            if (!_standing.Remove(cause))
            {
                return;
            }

            _refused.Remove(cause);
            ReportEnd();
            _shown = [.. _standing];
        }

        Changed?.Invoke();
    }

    /// <summary>The keeper ended: it waits for nothing any more.</summary>
    public void End() => outage.Forget(this);

    private static Kind KindOf(FailureCause cause, Exception error) =>
        cause.Area == FailureArea.ReadPermission ? Kind.ReadDenied
        : KeeperErrors.IsRefusal(error) ? Kind.Refused
        : Kind.Unavailable;

    private static (Kind Kind, StatusCode? Code, bool IsOfTls) NatureOf(FailureCause cause, Exception error) =>
        KindOf(cause, error) is var kind && kind == Kind.Refused
            ? (kind, (error as EtcdException)?.StatusCode, false)
            : (kind, null, error is EtcdException { Reason: EtcdErrorReason.TlsFailed });

    /// <returns>Whether the cause stands already, with a failure of the same nature.</returns>
    private bool StandGateHeld(FailureCause cause, Exception error)
    {
        if (_standing.TryGetValue(cause, out var before) && NatureOf(cause, before) == NatureOf(cause, error))
        {
            _standing[cause] = error;
            return true;
        }

        _standing.Remove(cause);
        _standing.Add(cause, error);
        return false;
    }

    private Exception? Last(params Kind[] kinds)
        => Array.FindLast(_shown, s => kinds.Contains(KindOf(s.Key, s.Value))).Value;

    private List<KeyValuePair<FailureCause, Exception>> Standing(Kind kind) => [.. _standing.Where(s => KindOf(s.Key, s.Value) == kind)];

    private static string NamesOf(List<KeyValuePair<FailureCause, Exception>> failures)
    {
        var names = failures.Select(f => f.Key.Area == FailureArea.Lease ? "the lease" : f.Key.Key).Distinct().Order(StringComparer.Ordinal).ToList();
        var more = names.Count > LoggedNames ? $" and {names.Count - LoggedNames} more" : "";
        return string.Join(", ", names.Take(LoggedNames)) + more;
    }

    private void Report(FailureCause cause, Exception error)
    {
        switch (KindOf(cause, error))
        {
            case Kind.Unavailable when !_isUnavailable:
                _isUnavailable = true;
                var level = outage.Began(this, time.GetTimestamp());
                Log.Unavailable(logger, level, error.Message);
                break;
            case Kind.ReadDenied when !_isReadDenied:
                _isReadDenied = true;
                Log.ReadDenied(logger, cause.Key, error.Message);
                break;
            case Kind.Refused:
                _refused.Add(cause);
                _refusedSince ??= time.GetTimestamp();

                // First what is over.
                ReportEnd();
                var isNew = _loggedRefusals.Add((cause.Area, ((EtcdException)error).StatusCode));
                if (isNew || time.GetElapsedTime(_refusalLoggedAt) >= RefusalReminder)
                {
                    _refusalLoggedAt = time.GetTimestamp();
                    var refused = Standing(Kind.Refused);
                    Log.Refused(logger, NamesOf(refused), string.Join(' ', refused.Select(r => r.Value.Message).Distinct()));
                }

                break;
        }

        ReportEnd();
    }

    private void ReportEnd()
    {
        if (_isUnavailable && Standing(Kind.Unavailable).Count == 0)
        {
            _isUnavailable = false;
            var (level, length) = outage.Over(this, time.GetTimestamp());
            if (_refused.Count == 0)
            {
                Log.Available(logger, level, length);
            }
            else
            {
                Log.Answers(logger, level, length);
            }
        }

        if (_refusedSince is { } refused && _refused.Count == 0)
        {
            _refusedSince = null;
            _loggedRefusals.Clear();
            Log.Accepted(logger, time.GetElapsedTime(refused));
        }

        if (_isReadDenied && Standing(Kind.ReadDenied).Count == 0)
        {
            _isReadDenied = false;
            Log.ReadAllowed(logger);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1110, LogLevel.Debug, "An attempt failed ({Area} {Key}). {Reason}")]
        public static partial void AttemptFailed(ILogger logger, FailureArea area, string key, string reason);

        [LoggerMessage(EventId = 1111, Message = "etcd is not available for keeping the keys; it is asked again until it is. {Reason}")]
        public static partial void Unavailable(ILogger logger, LogLevel level, string reason);

        [LoggerMessage(EventId = 1112, Message = "etcd is available again for keeping the keys, after {Duration}.")]
        public static partial void Available(ILogger logger, LogLevel level, TimeSpan duration);

        [LoggerMessage(EventId = 1117, Message = "etcd answers again, after {Duration}, but refuses to keep keys.")]
        public static partial void Answers(ILogger logger, LogLevel level, TimeSpan duration);

        [LoggerMessage(1113, LogLevel.Warning, "etcd refuses to keep {What}; it is asked again about every 30 s until that is put right. {Reason}")]
        public static partial void Refused(ILogger logger, string what, string reason);

        [LoggerMessage(1114, LogLevel.Information, "etcd does not refuse to keep any key any more; it did for {Duration}.")]
        public static partial void Accepted(ILogger logger, TimeSpan duration);

        [LoggerMessage(1115, LogLevel.Warning, "etcd lets the key '{Key}' be written but not read, and perhaps others. They are kept all the same, "
            + "but that another process deletes or takes one over cannot be noticed. {Reason}")]
        public static partial void ReadDenied(ILogger logger, string key, string reason);

        [LoggerMessage(1116, LogLevel.Information, "etcd lets all keys that are kept be read again.")]
        public static partial void ReadAllowed(ILogger logger);
    }
}
