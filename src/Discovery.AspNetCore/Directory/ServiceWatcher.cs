using System.Collections.Immutable;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Directory;

/// <summary>
/// Keeps one service's snapshot true to etcd: list, watch from the revision after it, apply, publish; and list again when events were
/// lost or a while has passed. One loop does it all, so nothing here is shared but what is published.
/// </summary>
internal sealed partial class ServiceWatcher : IAsyncDisposable
{
    /// <summary>How many keys that are no instances are logged; a prefix full of them must not flood the log.</summary>
    private const int MaxLoggedKeys = 100;

    /// <summary>Changes come in bursts, and the file is written whole.</summary>
    private static readonly TimeSpan SavePause = TimeSpan.FromSeconds(1);

    private readonly string _serviceName;
    private readonly string _prefix;
    private readonly IServiceLayout _layout;
    private readonly EtcdDiscoveryOptions _options;
    private readonly EtcdClient _client;
    private readonly ServiceLister _lister;
    private readonly SnapshotFile? _file;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly InstanceTable _table;
    private readonly HoldDown _hold;
    private readonly HashSet<string> _loggedKeys = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    private volatile ServiceSnapshot? _current;
    private volatile Exception? _lastError;
    private volatile bool _connected;
    private volatile TaskCompletionSource _changed = NewSignal();
    private long _confirmedAt;
    private long _revision;
    private int _skipped;
    private ulong _clusterId;
    private TimeSpan? _saveAt;
    private int _disposed;

    public ServiceWatcher(
        string serviceName,
        IServiceLayout layout,
        EtcdDiscoveryOptions options,
        EtcdClient client,
        ServiceLister lister,
        TimeProvider time,
        ILogger<ServiceWatcher> logger)
    {
        _serviceName = serviceName;
        _prefix = layout.GetPrefix(serviceName);
        _layout = layout;
        _options = options;
        _client = client;
        _lister = lister;
        _time = time;
        _logger = logger;
        _table = new InstanceTable(serviceName, layout);
        _hold = new HoldDown(options.HoldDuration, time);
        _file = options.SnapshotDirectory is { Length: > 0 } directory ? new SnapshotFile(directory, serviceName, _prefix, logger) : null;
        _loop = Task.Run(() => RunAsync(_stop.Token));
    }

    /// <summary>Raised after each new snapshot, by the loop: handlers must be quick and not throw.</summary>
    public event Action<ServiceSnapshot>? Published;

    /// <summary>The current snapshot, or null before the first.</summary>
    public ServiceSnapshot? Current => _current;

    /// <summary>Completes when the next snapshot is published. Take it before reading <see cref="Current"/>, and none is missed.</summary>
    public Task Changed => _changed.Task;

    public ServiceStatus Status
    {
        get
        {
            var confirmedAt = Interlocked.Read(ref _confirmedAt);
            return new ServiceStatus(
                _serviceName,
                _prefix,
                IsReady: _current is not null,
                IsConnected: _connected,
                Interlocked.Read(ref _revision),
                confirmedAt == 0 ? null : _time.GetElapsedTime(confirmedAt),
                Volatile.Read(ref _skipped),
                _lastError);
        }
    }

    /// <summary>Waits for the first snapshot.</summary>
    public async ValueTask<ServiceSnapshot> WaitForReadyAsync(CancellationToken cancellationToken)
    {
        if (_current is { } ready)
        {
            return ready;
        }

        using var limit = new CancellationTokenSource(_options.ReadyTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (true)
            {
                var changed = Changed;
                if (_current is { } snapshot)
                {
                    return snapshot;
                }

                await changed.WaitAsync(either.Token);
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ServiceDiscoveryException(
                _serviceName,
                $"Service '{_serviceName}' could not be listed under '{_prefix}' within {_options.ReadyTimeout.TotalSeconds:0.###} s "
                + $"(Etcd:Discovery:ReadyTimeout), from {string.Join(", ", _client.Endpoints)} (Etcd:Endpoints). "
                + (_lastError?.Message ?? "etcd did not answer yet."),
                _lastError);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync();
        await _loop;
        if (_saveAt is not null)
        {
            Save();
        }

        _stop.Dispose();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await FollowAsync(stop);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Nothing that happens here may end the loop: calls would go by an old snapshot for ever, and nobody would know.
                Log.LoopFailed(_logger, _serviceName, e);
                _lastError = e;
                await Task.Delay(ServiceLister.MaxPause, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        if (_current is not null || !await StartAsync(stop))
        {
            await ReconcileAsync(stop);
        }

        await using var watch = _client.Watch(_prefix, _revision + 1, _clusterId);
        var updates = watch.ReadAllAsync(stop).GetAsyncEnumerator(stop);
        var next = updates.MoveNextAsync().AsTask();
        try
        {
            var relistAt = NextRelist();
            while (true)
            {
                await PauseAsync(next, Shorter(Shorter(relistAt - Now, _hold.NextRelease), _saveAt - Now), stop);
                if (next.IsCompleted)
                {
                    if (!await next)
                    {
                        return;
                    }

                    await HandleAsync(updates.Current, watch, stop);
                    next = updates.MoveNextAsync().AsTask();
                }

                if (Now >= relistAt)
                {
                    // The updates that wait meanwhile are older than the list or come after it; Apply tells them apart by revision.
                    await ReconcileAsync(stop);
                    relistAt = NextRelist();
                }

                if (_hold.NextRelease == TimeSpan.Zero)
                {
                    Publish(ServiceChangeReason.HoldEnded);
                }

                if (Now >= _saveAt)
                {
                    Save();
                }
            }
        }
        finally
        {
            // Disposing the watch ends the read that is still under way; only then may its enumerator be disposed.
            await watch.DisposeAsync();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await updates.DisposeAsync();
        }
    }

    /// <summary>Waits for the next update, or until something else is due.</summary>
    private async Task PauseAsync(Task next, TimeSpan pause, CancellationToken stop)
    {
        if (!next.IsCompleted && pause > TimeSpan.Zero)
        {
            using var awake = CancellationTokenSource.CreateLinkedTokenSource(stop);
            await Task.WhenAny(next, Task.Delay(pause, _time, awake.Token));
            await awake.CancelAsync();
        }

        stop.ThrowIfCancellationRequested();
    }

    /// <summary>The time on the clock's own monotonic scale.</summary>
    private TimeSpan Now => _time.GetElapsedTime(0);

    private static TimeSpan Shorter(TimeSpan one, TimeSpan? other) => other < one ? other.Value : one;

    /// <summary>When to list again, with jitter so that the clients of a cluster spread.</summary>
    private TimeSpan NextRelist()
        => Now + (_options.RelistInterval * (0.8 + (0.4 * Random.Shared.NextDouble())));

    /// <summary>
    /// Gets a first snapshot from the best source there is: the cluster, else one member without quorum, else the disk. Each has its
    /// share of the time that a first call waits.
    /// </summary>
    /// <returns>Whether it came from the cluster, so that a watch can follow it.</returns>
    private async Task<bool> StartAsync(CancellationToken stop)
    {
        var share = _options.ReadyTimeout / 3;
        foreach (var consistency in Enum.GetValues<EtcdReadConsistency>())
        {
            try
            {
                using var limit = new CancellationTokenSource(share, _time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
                Apply(
                    await _lister.ListOnceAsync(_prefix, consistency, either.Token),
                    consistency == EtcdReadConsistency.Linearizable ? ServiceChangeReason.Listed : ServiceChangeReason.ListedWithoutQuorum);
                return consistency == EtcdReadConsistency.Linearizable;
            }
            catch (Exception e) when (e is EtcdException || (e is OperationCanceledException && !stop.IsCancellationRequested))
            {
                _lastError = e is EtcdException ? e : _lastError;
            }
        }

        if (_file is not null && _file.TryRead(out var saved))
        {
            Apply(saved, ServiceChangeReason.ReadFromDisk);
        }

        return false;
    }

    private async Task HandleAsync(EtcdWatchUpdate update, EtcdWatch watch, CancellationToken stop)
    {
        switch (update.Kind)
        {
            case EtcdWatchUpdateKind.Changed:
                Apply(update);
                break;
            case EtcdWatchUpdateKind.Progress:
                Confirm(update.Revision);
                break;
            case EtcdWatchUpdateKind.Opened:
                _connected = true;
                Confirm(0);
                break;
            case EtcdWatchUpdateKind.ListAgain:
                _connected = false;
                Log.ListAgain(_logger, _serviceName, update.Error);
                await _lister.SpreadAsync(stop);
                await ReconcileAsync(stop);
                watch.Restart(_revision + 1, _clusterId);
                break;
            case EtcdWatchUpdateKind.Interrupted:
                _connected = false;
                _lastError = update.Error;
                break;
            case EtcdWatchUpdateKind.Rejected:
                _connected = false;
                _lastError = update.Error;
                Log.Rejected(_logger, _serviceName, _prefix, update.Error);
                break;
        }
    }

    /// <summary>Lists, for as long as it takes, and applies the difference.</summary>
    private async Task ReconcileAsync(CancellationToken stop)
    {
        var listing = await _lister.ListAsync(_prefix, e => _lastError = e, stop);
        Apply(listing, _current is null ? ServiceChangeReason.Listed : ServiceChangeReason.Reconciled);
    }

    private void Apply(EtcdListing listing, ServiceChangeReason reason)
    {
        var before = _table.Instances;
        if (_clusterId != listing.ClusterId || listing.Revision < _revision)
        {
            // Another cluster, or one restored from a backup: revisions of before mean nothing now.
            if (_clusterId != 0)
            {
                Log.HistoryChanged(_logger, _serviceName, _revision, listing.Revision);
            }

            _table.Clear();
        }
        else
        {
            var listed = listing.Items.Select(static r => r.Key).ToHashSet(StringComparer.Ordinal);
            foreach (var key in _table.KeysOtherThan(listed))
            {
                _table.Remove(key);
            }
        }

        foreach (var record in listing.Items)
        {
            Put(record);
        }

        _clusterId = listing.ClusterId;
        Interlocked.Exchange(ref _revision, listing.Revision);
        if (reason != ServiceChangeReason.ReadFromDisk)
        {
            Confirm(listing.Revision);
        }

        if (_current is null || !ReferenceEquals(before, _table.Instances))
        {
            Publish(reason);
        }
    }

    private void Apply(EtcdWatchUpdate update)
    {
        var before = _table.Instances;
        foreach (var change in update.Events)
        {
            if (change.Record.ModRevision <= _revision)
            {
                continue;
            }

            if (change.Deleted)
            {
                _table.Remove(change.Record.Key);
            }
            else
            {
                Put(change.Record);
            }
        }

        Confirm(update.Revision);
        if (!ReferenceEquals(before, _table.Instances))
        {
            Publish(ServiceChangeReason.Watched);
        }
    }

    private void Put(EtcdKeyValue record)
    {
        var problem = _table.Put(record);
        if (problem is not null && _loggedKeys.Count < MaxLoggedKeys && _loggedKeys.Add(record.Key))
        {
            Log.RecordSkipped(_logger, record.Key, problem);
        }
    }

    private void Confirm(long revision)
    {
        if (revision > _revision)
        {
            Interlocked.Exchange(ref _revision, revision);
        }

        Interlocked.Exchange(ref _confirmedAt, Math.Max(1, _time.GetTimestamp()));
        _lastError = null;
    }

    private void Publish(ServiceChangeReason reason)
    {
        var change = _hold.Update(_table.Vanished, _table.Instances);
        _table.Vanished.Clear();
        Volatile.Write(ref _skipped, _table.Skipped);
        if (change > 0)
        {
            // Where records cannot say that they drain, a service that is scaled down looks the same, and is no cause for alarm.
            Log.Held(
                _logger,
                _layout.CanSayDraining ? LogLevel.Error : LogLevel.Information,
                _hold.Held.Count,
                _serviceName,
                _prefix,
                _table.Instances.Count,
                _options.HoldDuration);
        }
        else if (change < 0 && _hold.Held.IsEmpty)
        {
            Log.HoldEnded(_logger, _serviceName);
        }

        var held = _hold.Held;
        var snapshot = new ServiceSnapshot(
            _serviceName,
            _prefix,
            held.IsEmpty ? _table.Instances : _table.Instances.AddRange(held),
            held.IsEmpty ? [] : held.Keys.ToImmutableHashSet(StringComparer.Ordinal),
            _revision,
            reason,
            _time.GetUtcNow());
        _current = snapshot;
        Published?.Invoke(snapshot);
        Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
        Log.Published(_logger, _serviceName, snapshot.Instances.Count, _revision, reason);

        // An empty or shrunken list would be the worst thing to start from, so while instances are held the file stays as it is.
        if (_file is not null && held.IsEmpty && reason != ServiceChangeReason.ReadFromDisk)
        {
            _saveAt ??= Now + SavePause;
        }
    }

    private void Save()
    {
        _saveAt = null;
        if (_hold.Held.IsEmpty)
        {
            _file?.Write(new EtcdListing([.. _table.Records], _revision, _clusterId));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "Service '{Service}' has {Count} instances at revision {Revision} ({Reason}).")]
        public static partial void Published(ILogger logger, string service, int count, long revision, ServiceChangeReason reason);

        [LoggerMessage(2, LogLevel.Warning, "The record {Key} is no instance and is skipped: {Problem}.")]
        public static partial void RecordSkipped(ILogger logger, string key, string problem);

        [LoggerMessage(3, LogLevel.Information, "Service '{Service}' is listed again.")]
        public static partial void ListAgain(ILogger logger, string service, Exception? exception);

        [LoggerMessage(4, LogLevel.Warning, "etcd refuses the watch of service '{Service}' on '{Prefix}'; it is tried again.")]
        public static partial void Rejected(ILogger logger, string service, string prefix, Exception? exception);

        [LoggerMessage(EventId = 5, Message = "{Count} instances of service '{Service}' vanished at once from '{Prefix}' without draining ({Left} "
            + "are left). They are still called for up to {Duration}: check what happened to their keys and leases.")]
        public static partial void Held(ILogger logger, LogLevel level, int count, string service, string prefix, int left, TimeSpan duration);

        [LoggerMessage(6, LogLevel.Information, "No instance of service '{Service}' is held any longer.")]
        public static partial void HoldEnded(ILogger logger, string service);

        [LoggerMessage(7, LogLevel.Warning, "etcd's history changed under service '{Service}' (revision {Before}, now {Now}): restored from "
            + "a backup, wiped, or another cluster. Its list is taken as the truth.")]
        public static partial void HistoryChanged(ILogger logger, string service, long before, long now);

        [LoggerMessage(8, LogLevel.Error, "Following service '{Service}' failed unexpectedly; it starts again.")]
        public static partial void LoopFailed(ILogger logger, string service, Exception exception);
    }
}
