using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Keeps one service's snapshot in step with etcd: list, watch from the revision after it, apply, publish; and list again when events were
/// lost or a while has passed. One loop does it all.
/// </summary>
internal sealed partial class ServiceWatcher : IWatchedService
{
    private readonly string _serviceName;
    private readonly string _prefix;
    private readonly EtcdDiscoveryOptions _options;
    private readonly IServiceSource _source;
    private readonly ServiceLister _lister;
    private readonly SnapshotFile? _file;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchStatus _status;
    private readonly ServiceState _state;
    private readonly ListCheck _check;
    private readonly FirstList _first;
    private readonly WatcherTelemetry _telemetry;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    private int _disposed;

    public ServiceWatcher(
        string serviceName,
        IServiceLayout layout,
        EtcdDiscoveryOptions options,
        IServiceSource source,
        ServiceLister lister,
        TimeProvider time,
        ILogger logger,
        ServiceMetrics? metrics = null)
    {
        _serviceName = serviceName;
        _prefix = layout.GetPrefix(serviceName);
        _options = options;
        _source = source;
        _lister = lister;
        _time = time;
        _logger = logger;
        _status = new WatchStatus(time);
        _state = new ServiceState(serviceName, layout, options.HoldDuration, Feed, time, logger, metrics);
        _telemetry = new WatcherTelemetry(serviceName, source.Cluster, metrics, time);
        _check = new ListCheck(_state, lister, _prefix, options.RelistInterval, _telemetry, time);
        lister.CountServices(1);
        if (options.SnapshotDirectory is { Length: > 0 } directory)
        {
            // Two clusters may have services of one name.
            _file = new SnapshotFile(Path.Combine(directory, source.Cluster ?? ""), serviceName, _prefix, time, logger);
        }

        _first = new FirstList(serviceName, layout, options.ReadyTimeout, lister, _file, _telemetry, logger);
        _loop = Detached.Run(() => RunAsync(_stop.Token));
    }

    /// <summary>Where the snapshots are published.</summary>
    public SnapshotFeed Feed { get; } = new();

    public ServiceStatus Status => new()
    {
        ServiceName = _serviceName,
        Cluster = _source.Cluster,
        Prefix = _prefix,
        IsReady = Feed.Current is not null,
        IsConnected = _status.IsConnected,
        Revision = _state.Revision,
        Age = _status.Age,
        SkippedRecords = _state.SkippedRecords,
        LastError = Problem,
    };

    /// <summary>Why the service is not up to date: its own failure, or, while its first list is not answered, what is known of others.</summary>
    private Exception? Problem => _status.LastError ?? (Feed.Current is null ? _lister.Outage.Cause : null);

    /// <summary>Waits for the first snapshot.</summary>
    public async ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken)
        => await Feed.WaitForFirstAsync(limit, _time, cancellationToken).ConfigureAwait(false) ?? throw NotListed(limit);

    private ServiceDiscoveryException NotListed(TimeSpan waited)
        => new(
            _serviceName,
            $"Service '{_serviceName}' could not be listed under '{_prefix}' within {waited.TotalSeconds:0.###} s "
            + $"(Etcd:Discovery:ReadyTimeout), from {string.Join(", ", _source.Endpoints)} ({Cluster.SectionOf(_source.Cluster)}:Endpoints). "
            + (Problem is { } problem ? $"The last attempt: {problem.Message}" : "etcd did not answer yet."),
            Problem);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _lister.CountServices(-1);
        Feed.Close();
        if (_file is not null)
        {
            await _file.FlushAsync(_state.ToListing).ConfigureAwait(false);
        }

        _stop.Dispose();
    }

    private static TimeSpan? Shorter(TimeSpan? one, TimeSpan? other) => one is null || other < one ? other : one;

    private async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await FollowAsync(stop).ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (ObjectDisposedException e) when (e.ObjectName == typeof(EtcdClient).FullName)
            {
                // The client was disposed before the directory: nothing will be heard of etcd any more.
                return;
            }
            catch (Exception e)
            {
                // Nothing that happens here may end the loop: calls would go by an old snapshot for ever, and nobody would know.
                Log.LoopFailed(_logger, _serviceName, e);
                _status.OnFailed(e);
                await Task.Delay(ServiceLister.MaxPause, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        if (Feed.Current is not null || !await StartAsync(stop).ConfigureAwait(false))
        {
            await ReconcileAsync(stop).ConfigureAwait(false);
        }

        while (await WatchAsync(stop).ConfigureAwait(false))
        {
            await ReconcileAsync(stop).ConfigureAwait(false);
        }
    }

    /// <summary>Gets a first snapshot from the best source there is.</summary>
    /// <returns>Whether it came from the cluster, so that a watch can follow it.</returns>
    private async Task<bool> StartAsync(CancellationToken stop)
    {
        if (await _first.GetAsync(_status.OnFailed, stop).ConfigureAwait(false) is not var (listing, reason, ahead))
        {
            return false;
        }

        if (reason == ServiceChangeReason.ReadFromDisk)
        {
            _state.Apply(listing, reason);
            _file!.WasRead(Feed.Current);
        }
        else
        {
            Apply(listing, reason, ahead);
        }

        return reason == ServiceChangeReason.Listed;
    }

    /// <summary>Follows the watch.</summary>
    /// <returns>Whether a new list and another watch are needed; if not, this or the client was disposed.</returns>
    private async Task<bool> WatchAsync(CancellationToken stop)
    {
        var watch = _source.Watch(_prefix, _state.Revision + 1, _state.ClusterId);

        // Disposing the watch ends the read, without an exception.
        var updates = watch.ReadAllAsync(CancellationToken.None).GetAsyncEnumerator(CancellationToken.None);
        var next = updates.MoveNextAsync().AsTask();
        try
        {
            _check.Schedule();
            while (true)
            {
                var wakeIn = Shorter(Shorter(_check.DueIn(_status.IsConnected || _status.ListsInstead), _state.NextRelease), _file?.DueIn);
                Task either = _check.Running is { } list ? Task.WhenAny(next, list) : next;
                await TimedWait.UntilAsync(either, wakeIn, _time, stop).ConfigureAwait(false);
                if (stop.IsCancellationRequested)
                {
                    return false;
                }

                if (next.IsCompleted)
                {
                    if (!await next.ConfigureAwait(false))
                    {
                        return false;
                    }

                    await HandleAsync(updates.Current, watch, stop).ConfigureAwait(false);
                    next = updates.MoveNextAsync().AsTask();
                }

                if (_status.IsWatchOutdated || !Check(stop))
                {
                    return true;
                }

                _state.ReleaseHeld();
                _file?.SaveIfDue(_state.ToListing);
            }
        }
        finally
        {
            _status.OnEnded();
            _check.Discard();

            // Ends the read that is still under way; only then may its enumerator be disposed.
            await watch.DisposeAsync().ConfigureAwait(false);
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await updates.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task HandleAsync(EtcdWatchUpdate update, IServiceWatch watch, CancellationToken stop)
    {
        switch (update.Kind)
        {
            case EtcdWatchUpdateKind.Changed:
                _state.Apply(update);
                Confirm();
                break;
            case EtcdWatchUpdateKind.Progress:
                _state.Advance(update.Revision);
                Confirm();
                break;
            case EtcdWatchUpdateKind.Opened:
                _status.OnOpened();
                _telemetry.OnOpened(_status.LastError);
                _lister.SetPolling(false);
                _lister.Outage.OnWatch(works: true);
                Confirm();
                break;
            case EtcdWatchUpdateKind.ListAgain:
                _status.OnEnded();
                _check.Discard();
                if (_lister.AgainLines.Allows(_logger, _serviceName))
                {
                    Log.ListAgain(_logger, _serviceName, update.Error?.Message);
                }

                await _lister.SpreadAsync(stop).ConfigureAwait(false);
                await ReconcileAsync(stop).ConfigureAwait(false);
                watch.Restart(_state.Revision + 1, _state.ClusterId);
                break;
            case EtcdWatchUpdateKind.Interrupted:
                _status.OnInterrupted(update.Error);
                _telemetry.OnInterrupted();

                // What came back may be a member with another past, and breaks are where etcd loses events: look again soon after.
                _check.ScheduleWithin(_options.RelistInterval * 0.1);
                break;
            case EtcdWatchUpdateKind.Unavailable:
                _status.OnUnavailable(update.Error);
                _lister.Outage.OnWatch(works: false);
                _check.ScheduleWithin(_lister.PollInterval);
                break;
            case EtcdWatchUpdateKind.Rejected:
                // etcd answers, and the watch alone is refused, maybe for good: lists stand in here too.
                _status.OnUnavailable(update.Error);
                _check.ScheduleWithin(_lister.PollInterval);
                if (_lister.RejectedLines.Allows(_logger, _serviceName))
                {
                    Log.Rejected(_logger, _serviceName, _prefix, update.Error?.Message);
                }

                break;
        }
    }

    /// <summary>Does what the regular list asks for.</summary>
    /// <returns>Whether the watch can go on.</returns>
    private bool Check(CancellationToken stop)
    {
        switch (_check.Step(_status.IsConnected, _status.ListsInstead, stop))
        {
            case ListCheckResult.Differs:
                return false;
            case ListCheckResult.Confirmed:
                Confirm();
                break;
            case ListCheckResult.Failed:
                _status.OnFailed(_check.Failure);
                break;
            case ListCheckResult.Listed:
                if (_lister.SetPolling(true))
                {
                    Log.ListsInstead(_logger, _serviceName);
                }

                Apply(_check.Listing!, ServiceChangeReason.Reconciled);
                _status.OnListedInstead();
                break;
        }

        return true;
    }

    /// <summary>Lists, for as long as it takes, and applies the difference.</summary>
    private async Task ReconcileAsync(CancellationToken stop)
    {
        var isFirst = true;
        var listing = await _telemetry.ListAsync(ListCauses.EventsLost, () => _lister.ListAsync(
            _prefix,
            e =>
            {
                _status.OnFailed(e);
                _telemetry.OnList(ListCauses.EventsLost, isAnswered: false);

                // That etcd is away is said once for all services; a refusal may be this one's alone.
                if (isFirst && e is not EtcdException { StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded })
                {
                    isFirst = false;
                    Log.NotListed(_logger, _serviceName, _prefix, e.Message);
                }
            },
            stop).AsTask()).ConfigureAwait(false);
        Apply(listing, Feed.Current is null ? ServiceChangeReason.Listed : ServiceChangeReason.Reconciled);
    }

    private void Apply(EtcdListing listing, ServiceChangeReason reason, ReadAhead? ahead = null)
    {
        _state.Apply(listing, reason, ahead);
        Confirm();
    }

    /// <summary>etcd was heard.</summary>
    private void Confirm()
    {
        _status.OnConfirmed();
        if (_file is not null && Feed.Current is { } current)
        {
            _file.Follow(current);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2111, LogLevel.Information, "Service '{Service}' is listed again. {Reason}")]
        public static partial void ListAgain(ILogger logger, string service, string? reason);

        [LoggerMessage(2112, LogLevel.Warning, "etcd refuses the watch of service '{Service}' on '{Prefix}'; it is tried again. {Reason}")]
        public static partial void Rejected(ILogger logger, string service, string prefix, string? reason);

        [LoggerMessage(2116, LogLevel.Information, "Service '{Service}' and others cannot be watched now, but lists are answered: they are listed "
            + "every few seconds until watches open.")]
        public static partial void ListsInstead(ILogger logger, string service);

        [LoggerMessage(2113, LogLevel.Error, "Following service '{Service}' failed unexpectedly; it starts again.")]
        public static partial void LoopFailed(ILogger logger, string service, Exception exception);

        [LoggerMessage(2114, LogLevel.Warning, "Service '{Service}' cannot be listed under '{Prefix}'; it is tried again until it can. {Reason}")]
        public static partial void NotListed(ILogger logger, string service, string prefix, string reason);
    }
}
