using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Watching;

namespace Discovery.Etcd.Leasing;

/// <summary>
/// Watches a keeper's own keys, so that a deletion or a change by somebody else is noticed at once. A key that etcd does not let us read is
/// tried again from time to time.
/// </summary>
internal sealed class OwnKeyWatcher(
    WatchMultiplexer watches, KeyValueClient client, DesiredKeys keys, KeeperFailures failures, Action<EtcdKeyValue> onConflict, TimeProvider time)
{
    // Permissions change rarely, and then the process that gained one is usually started again.
    private static readonly TimeSpan UnreadablePause = TimeSpan.FromMinutes(5);

    // One loss of events is made good at once; where two clusters answer in turn, each new watch has lost them again.
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<DesiredKey, Following> _following = [];

    /// <summary>Watches a key from what is known of it on, if it is not watched yet.</summary>
    public void Watch(DesiredKey key, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            var isReadable = key.ReadError is null;
            if (key.KnownAt == 0 || (_following.TryGetValue(key, out var present) && present.IsReadable == isReadable))
            {
                return;
            }

            StartLockHeld(key, isReadable, cancellationToken);
        }
    }

    /// <summary>Ends the watch of a key.</summary>
    public void Unwatch(DesiredKey key)
    {
        lock (_gate)
        {
            StopLockHeld(key);
        }
    }

    private void StartLockHeld(DesiredKey key, bool isReadable, CancellationToken cancellationToken)
    {
        StopLockHeld(key);
        var following = new Following(isReadable, CancellationTokenSource.CreateLinkedTokenSource(cancellationToken));
        _following.Add(key, following);
        _ = Task.Run(() => FollowAsync(key, following, cancellationToken), CancellationToken.None);
    }

    private void StopLockHeld(DesiredKey key)
    {
        if (_following.Remove(key, out var following))
        {
            _ = following.Stop.CancelAsync();
        }
    }

    private async Task FollowAsync(DesiredKey key, Following following, CancellationToken cancellationToken)
    {
        using var stop = following.Stop;
        try
        {
            var range = KeyRange.Single(key.Name);
            await (following.IsReadable ? WatchAsync(key, range, stop.Token) : WaitUntilReadableAsync(key, range, stop.Token)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The key is not ours any more, or the keeper or its client ended. It is forgotten before its source is disposed: nobody may end it then.
            lock (_gate)
            {
                if (_following.GetValueOrDefault(key) == following)
                {
                    _following.Remove(key);
                }
            }

            return;
        }

        lock (_gate)
        {
            if (_following.GetValueOrDefault(key) == following)
            {
                StartLockHeld(key, !following.IsReadable, cancellationToken);
            }
        }
    }

    /// <summary>Follows the key until etcd does not let us read it any more.</summary>
    private async Task WatchAsync(DesiredKey key, KeyRange range, CancellationToken cancellationToken)
    {
        var watch = watches.Add(key.Name, range, key.KnownAt + 1, clusterId: 0);
        await using var end = watch.ConfigureAwait(false);
        var (inARow, listedAt) = (0, long.MinValue);
        await foreach (var update in watch.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            foreach (var change in update.Events)
            {
                Observed(key, k => k.Observed(change.Deleted ? null : change.Record, update.Revision));
            }

            if (update.Kind == EtcdWatchUpdateKind.ListAgain)
            {
                inARow = listedAt != long.MinValue && time.GetElapsedTime(listedAt) < Calm ? inARow + 1 : 0;
                if (inARow > 0)
                {
                    await Task.Delay(RetryDelay.Temporary(inARow), time, cancellationToken).ConfigureAwait(false);
                }

                listedAt = time.GetTimestamp();
                if (update.CompactRevision == 0)
                {
                    keys.DoubtLease();
                }

                if (await ReadAsync(key, range, cancellationToken).ConfigureAwait(false) is not { } header)
                {
                    return;
                }

                watch.Restart(header.Revision + 1, header.ClusterId);
            }
            else if (update.Kind == EtcdWatchUpdateKind.Rejected && KeeperErrors.IsPermissionDenied(update.Error))
            {
                ReadDenied(key, update.Error!);
                return;
            }
            else if (update.Kind == EtcdWatchUpdateKind.Rejected && await ReadAsync(key, range, cancellationToken).ConfigureAwait(false) is null)
            {
                // Refused for another reason than that, such as too many watches. It is tried again after a pause, and each time a read stands in.
                return;
            }
        }
    }

    private async Task WaitUntilReadableAsync(DesiredKey key, KeyRange range, CancellationToken cancellationToken)
    {
        do
        {
            await Task.Delay(Jitter.Spread(UnreadablePause), time, cancellationToken).ConfigureAwait(false);
        }
        while (await ReadAsync(key, range, cancellationToken).ConfigureAwait(false) is null);
    }

    /// <summary>Reads the key, until etcd answers.</summary>
    /// <returns>From where the answer is; <see langword="null"/> when etcd does not let us read the key.</returns>
    private async Task<Protocol.ResponseHeader?> ReadAsync(DesiredKey key, KeyRange range, CancellationToken cancellationToken)
    {
        var cause = new FailureCause(FailureArea.Watch, key.Name);
        for (var failed = 1; ; failed++)
        {
            try
            {
                var step = keys.Apply(key, k => k.ReadStep());
                var (record, header) = await client.ReadAsync(range, cancellationToken).ConfigureAwait(false);
                Observed(key, k => k.Observed(record, header.Revision, step));
                failures.Succeeded(cause);
                failures.Succeeded(new FailureCause(FailureArea.ReadPermission, key.Name));
                return header;
            }
            catch (EtcdException e) when (KeeperErrors.IsPermissionDenied(e))
            {
                failures.Succeeded(cause);
                ReadDenied(key, e);
                return null;
            }
            catch (EtcdException e)
            {
                failures.Failed(cause, e);
                await Task.Delay(RetryDelay.After(e, failed), time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private void ReadDenied(DesiredKey key, EtcdException error)
    {
        keys.Apply(key, k => k.ReadDenied(error));
        failures.Failed(new FailureCause(FailureArea.ReadPermission, key.Name), error);
    }

    private void Observed(DesiredKey key, Func<DesiredKey, EtcdKeyValue?> transition)
    {
        if (keys.Apply(key, transition) is { } conflict)
        {
            onConflict(conflict);
        }
    }

    private sealed record Following(bool IsReadable, CancellationTokenSource Stop);
}
