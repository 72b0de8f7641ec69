using System.Runtime.CompilerServices;

namespace Discovery.Etcd.Following;

/// <summary>
/// Keeps the records of a prefix in step with etcd: list, watch from the revision after it, and list again when events were lost, when no
/// watch can be opened, or when a while has passed. One loop does it all.
/// </summary>
internal sealed class PrefixFollower(EtcdClient client, string prefix, EtcdFollowOptions options, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan MaxSpread = TimeSpan.FromMilliseconds(500);

    private readonly PrefixRecords _records = new(prefix);
    private readonly Signal _published = new();
    private volatile EtcdPrefixSnapshot? _current;
    private EtcdFollowStatus? _status;
    private EtcdException? _watchError;
    private Task<EtcdListing>? _list;
    private TimeSpan _listDueAt;
    private int _failedLists;
    private bool _isOpen;
    private bool _isPolling;

    private TimeSpan Now => time.GetElapsedTime(0);

    private bool MayList => _list is null && (_isOpen || _isPolling);

    /// <summary>The newest snapshot and each newer one, until the client is disposed. Whoever reads slowly skips some.</summary>
    public static async IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(
        EtcdClient client, string prefix, EtcdFollowOptions options, TimeProvider time, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var follower = new PrefixFollower(client, prefix, options, time);
        var loop = Detached.Run(() => follower.RunAsync(stop.Token));
        try
        {
            EtcdPrefixSnapshot? last = null;
            while (true)
            {
                var published = follower._published.Next;
                var isOver = loop.IsCompleted;
                if (follower._current is { } current && !ReferenceEquals(current, last))
                {
                    last = current;
                    yield return current;
                }
                else if (isOver)
                {
                    await loop.ConfigureAwait(false);
                    yield break;
                }
                else
                {
                    await Task.WhenAny(published, loop).WaitAsync(cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        EtcdWatch? watch = null;
        try
        {
            await ListAsync(stop).ConfigureAwait(false);
            do
            {
                // The old one goes last: a client without any watch would end its stream, and forget that it reported an outage.
                var old = watch;
                watch = client.Watch(prefix, _records.Revision + 1, _records.ClusterId);
                await EndAsync(old).ConfigureAwait(false);
            }
            while (await FollowAsync(watch, stop).ConfigureAwait(false));
        }
        catch (ObjectDisposedException)
        {
            // The client was disposed.
        }
        finally
        {
            await EndAsync(watch).ConfigureAwait(false);
            ForgetList();
        }
    }

    private static TimeSpan PauseAfter(int failures) => Jitter.Spread(Jitter.Grow(FirstPause, failures, LongestPause));

    private static ValueTask EndAsync(EtcdWatch? watch) => watch?.DisposeAsync() ?? ValueTask.CompletedTask;

    /// <summary>Lists until etcd answers.</summary>
    private async Task ListAsync(CancellationToken stop)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                _records.BeginList();
                var list = client.ListAsync(prefix, EtcdReadConsistency.Linearizable, stop);
                var told = _status is { Kind: EtcdFollowStatusKind.Unavailable } away ? away.Error : null;
                await client.TellEarlyAsync(list, told, cause => Report(EtcdFollowStatusKind.Unavailable, cause), stop).ConfigureAwait(false);
                Take(await list.ConfigureAwait(false));
                return;
            }
            catch (EtcdException e)
            {
                Report(EtcdFollowStatusKind.Unavailable, e);
                await Task.Delay(PauseAfter(failures), time, stop).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Follows one watch.</summary>
    /// <returns>Whether another one is needed; if not, the client was disposed.</returns>
    private async Task<bool> FollowAsync(EtcdWatch watch, CancellationToken stop)
    {
        _isOpen = false;
        ScheduleList();
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var updates = watch.ReadAllAsync(reading.Token).GetAsyncEnumerator(reading.Token);
        var next = updates.MoveNextAsync().AsTask();
        try
        {
            while (true)
            {
                await WaitAsync(next, stop).ConfigureAwait(false);
                if (next.IsCompleted)
                {
                    if (!await next.ConfigureAwait(false))
                    {
                        return false;
                    }

                    if (!await HandleAsync(updates.Current, watch, stop).ConfigureAwait(false))
                    {
                        return true;
                    }

                    next = updates.MoveNextAsync().AsTask();
                }

                if (!await CheckAsync(stop).ConfigureAwait(false))
                {
                    return true;
                }
            }
        }
        finally
        {
            // The read that is under way must have ended before its enumerator is disposed.
            await reading.CancelAsync().ConfigureAwait(false);
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await updates.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Waits for an update, for the list that is under way, or until one is due.</summary>
    private async Task WaitAsync(Task next, CancellationToken stop)
    {
        var wait = MayList ? _listDueAt - Now : Timeout.InfiniteTimeSpan;
        if (MayList && wait <= TimeSpan.Zero)
        {
            return;
        }

        // A delay drops what is less than a millisecond, which would make the last one a busy loop.
        var delay = MayList ? wait + TimeSpan.FromMilliseconds(1) : wait;
        var either = _list is { } list ? Task.WhenAny(next, list) : next;
        await either.WaitAsync(delay, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.ThrowIfCancellationRequested();
    }

    /// <summary>Handles an update of the watch.</summary>
    /// <returns>Whether the watch can go on.</returns>
    private async Task<bool> HandleAsync(EtcdWatchUpdate update, EtcdWatch watch, CancellationToken stop)
    {
        switch (update.Kind)
        {
            case EtcdWatchUpdateKind.Changed when _records.Apply(update):
                Publish();
                break;
            case EtcdWatchUpdateKind.Progress:
                _records.Advance(update.Revision);
                break;
            case EtcdWatchUpdateKind.Opened:
                (_isOpen, _isPolling) = (true, false);
                Report(EtcdFollowStatusKind.Watching, null);

                // Lists went ahead of the watch. Only a watch that begins where they ended notices when the history changes behind them.
                return update.Revision >= _records.Revision;
            case EtcdWatchUpdateKind.ListAgain:
                (_isOpen, _isPolling) = (false, false);
                ForgetList();
                await Task.Delay(MaxSpread * Random.Shared.NextDouble(), time, stop).ConfigureAwait(false);
                await ListAsync(stop).ConfigureAwait(false);
                watch.Restart(_records.Revision + 1, _records.ClusterId);
                break;
            case EtcdWatchUpdateKind.Interrupted:
                // Breaks are where events get lost, and what comes back may have another past: look soon after.
                _isOpen = false;
                ListWithin(options.RelistInterval * 0.1);
                break;
            case EtcdWatchUpdateKind.Unavailable or EtcdWatchUpdateKind.Rejected:
                (_isOpen, _watchError) = (false, update.Error);
                if (!_isPolling)
                {
                    _isPolling = true;
                    Report(EtcdFollowStatusKind.Unavailable, update.Error);
                    ListWithin(PollInterval);
                }

                break;
        }

        return true;
    }

    /// <summary>Begins a list when it is due, and takes the one that has come.</summary>
    /// <returns>Whether the watch can go on.</returns>
    private async Task<bool> CheckAsync(CancellationToken stop)
    {
        if (MayList && Now >= _listDueAt)
        {
            _records.BeginList();
            _list = client.ListAsync(prefix, EtcdReadConsistency.Linearizable, stop);
        }

        if (_list is not { IsCompleted: true } list)
        {
            return true;
        }

        _list = null;
        try
        {
            var listing = await list.ConfigureAwait(false);
            _failedLists = 0;
            var continues = _records.Continues(listing);
            var differs = Take(listing);
            if (_isPolling)
            {
                Report(EtcdFollowStatusKind.Polling, _watchError);
            }

            ScheduleList();
            return continues && !(differs && _isOpen);
        }
        catch (EtcdException e)
        {
            _records.EndList();
            _listDueAt = Now + PauseAfter(++_failedLists);
            if (_isPolling)
            {
                Report(EtcdFollowStatusKind.Unavailable, e);
            }

            return true;
        }
    }

    /// <summary>Takes a list as the truth, and publishes it if that is news.</summary>
    /// <returns>Whether it differs from what was known.</returns>
    private bool Take(EtcdListing listing)
    {
        var differs = _records.Take(listing);
        if (differs || _current is null)
        {
            Publish();
        }

        return differs;
    }

    private void Publish()
    {
        _current = _records.ToSnapshot();
        _published.Set();
    }

    private void Report(EtcdFollowStatusKind kind, EtcdException? error)
    {
        if (_status is null || _status.Kind != kind || _status.Error?.Message != error?.Message)
        {
            _status = new EtcdFollowStatus { Kind = kind, Error = error };
            options.OnStatusChanged?.Invoke(_status);
        }
    }

    /// <summary>Drops the list that is under way: a newer one was taken, or none is needed any more.</summary>
    private void ForgetList()
    {
        _ = _list?.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        _list = null;
        _records.EndList();
    }

    private void ScheduleList() => _listDueAt = Now + Jitter.Spread(_isPolling ? PollInterval : options.RelistInterval);

    private void ListWithin(TimeSpan limit)
    {
        var soon = Now + (limit * Random.Shared.NextDouble());
        _listDueAt = soon < _listDueAt ? soon : _listDueAt;
    }
}
