using Discovery.Etcd.KeyValues;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>
/// Brings the keys in line with what is desired, each on its own, for as long as the keeper lives. A key is written or deleted only if it
/// still has the revision that we know: that makes it safe against everybody else, and against our own repeated attempts.
/// </summary>
internal sealed partial class KeyReconciler(
    DesiredKeys keys, KeyValueClient client, LeaseRequests leases, OwnKeyWatcher watcher, KeeperFailures failures, LeaseStatusPublisher status,
    Action<EtcdKeyValue> onConflict, TimeProvider time, ILogger logger)
{
    /// <summary>Runs until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var work = new List<Task>();
        while (!cancellationToken.IsCancellationRequested)
        {
            var change = keys.Changed.Next;
            work.AddRange(keys.TakePending().Select(key => ReconcileAsync(key, cancellationToken)));
            work.RemoveAll(t => t.IsCompleted);
            status.Refresh();
            await change.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(work).ConfigureAwait(false);
    }

    private async Task ReconcileAsync(DesiredKey key, CancellationToken cancellationToken)
    {
        try
        {
            await BringInLineAsync(key, cancellationToken).ConfigureAwait(false);
            Conclude(key, cancellationToken);
        }
        catch (Exception e) when (e is ObjectDisposedException || cancellationToken.IsCancellationRequested)
        {
            // The keeper or its client ended. The key stays busy, so that nobody works on it again.
            return;
        }

        if (keys.Release(key))
        {
            watcher.Unwatch(key);
            failures.Succeeded(new FailureCause(FailureArea.ReadPermission, key.Name));
            failures.Succeeded(new FailureCause(FailureArea.Watch, key.Name));
        }
    }

    private async Task BringInLineAsync(DesiredKey key, CancellationToken cancellationToken)
    {
        var failed = 0;
        var requested = key.Requested.Next;
        while (keys.NextStep(key) is { } step)
        {
            if (await TryAsync(key, step, cancellationToken).ConfigureAwait(false) is { } error)
            {
                var pause = RetryDelay.After(error, ++failed);
                await requested.WaitAsync(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
            }

            if (requested.IsCompleted)
            {
                // Something else is asked for, or there is another lease: what failed before says nothing of it.
                (failed, requested) = (0, key.Requested.Next);
            }
        }
    }

    /// <returns>What failed, so that it has to be tried again after a pause; <see langword="null"/> to go on with the next step.</returns>
    private async Task<Exception?> TryAsync(DesiredKey key, KeyStep step, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, step.Lease?.Ended ?? CancellationToken.None);
        try
        {
            if (await RunAsync(key, step, either.Token).ConfigureAwait(false) is { } conflict)
            {
                onConflict(conflict);
            }

            return null;
        }
        catch (OperationCanceledException) when (step.Lease is { Ended.IsCancellationRequested: true } && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
        catch (EtcdException e) when (step.Lease is not null && KeeperErrors.IsLeaseGone(e))
        {
            keys.LeaseLost(step.Lease);
            await step.Lease.EndAsync().ConfigureAwait(false);
            return null;
        }
        catch (EtcdException e) when (step.Kind == KeyStepKind.HandOver && (KeeperErrors.IsLeaseGone(e) || KeeperErrors.IsPermissionDenied(e)))
        {
            // A lease may hold keys that our user may not write; then nothing may be added to it.
            keys.Apply(key, k => k.PeerGone(step.PeerLeaseId));
            return null;
        }
        catch (EtcdException e) when (!step.IsUnconditional && KeeperErrors.IsPermissionDenied(e))
        {
            // Comparing is reading. A role that may write only can still put, and delete.
            keys.Apply(key, k => k.ReadDenied(e));
            return null;
        }
        catch (EtcdException e) when (step is { Kind: KeyStepKind.Put or KeyStepKind.PutUnconditionally } && key.Value is null && KeeperErrors.IsRefusal(e))
        {
            // A database that is full takes deletions all the same.
            keys.Apply(key, k => k.LastValueRefused());
            return null;
        }
        catch (Exception e) when (e is not ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            if (e is not EtcdException)
            {
                Log.Unexpected(logger, key.Name, e);
            }

            if (KeeperErrors.IsPermissionDenied(e))
            {
                keys.Apply(key, k => k.WriteDenied());
            }

            failures.Failed(new FailureCause(FailureArea.Write, key.Name), e);
            return e;
        }
    }

    private async Task<EtcdKeyValue?> RunAsync(DesiredKey key, KeyStep step, CancellationToken cancellationToken)
    {
        switch (step.Kind)
        {
            case KeyStepKind.Read:
                var (record, header) = await client.ReadAsync(KeyRange.Single(key.Name), cancellationToken).ConfigureAwait(false);
                return keys.Apply(key, k => k.Observed(record, header.Revision, step));
            case KeyStepKind.PutUnconditionally:
                var revision = await client.PutAsync(key.Name, step.Value, step.Lease!.Id, cancellationToken).ConfigureAwait(false);
                return keys.Apply(key, k => k.Written(step, revision));
            case KeyStepKind.DeleteUnconditionally:
                await EraseAsync(key, cancellationToken).ConfigureAwait(false);
                return keys.Apply(key, k => k.Written(step, step.KnownAt));
            default:
                return await WriteAsync(key, step, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<EtcdKeyValue?> WriteAsync(DesiredKey key, KeyStep step, CancellationToken cancellationToken)
    {
        var transaction = new EtcdTransaction
        {
            When = [EtcdCompare.ModRevision(key.Name, step.Revision)],
            Then = [step.Value is { } value
                ? EtcdOperation.Put(key.Name, value, step.Lease?.Id ?? step.PeerLeaseId)
                : EtcdOperation.Delete(key.Name)],
            Else = [EtcdOperation.Get(key.Name)],
        };
        var result = await client.ExecuteAsync(transaction, cancellationToken).ConfigureAwait(false);
        return keys.Apply(key, k => result.Succeeded
            ? k.Written(step, result.Revision)
            : k.Observed(result.Reads[0], result.Revision, step));
    }

    /// <summary>
    /// Deletes a key that cannot be read. A revocation takes it only if it still hangs on the lease; where other keys do too, or where it is
    /// not allowed, the key is deleted whoever holds it now.
    /// </summary>
    private async Task EraseAsync(DesiredKey key, CancellationToken cancellationToken)
    {
        if (keys.TryRetireLeaseOf(key, out var leaseId, out var retired))
        {
            await (retired?.EndAsync() ?? Task.CompletedTask).ConfigureAwait(false);
            try
            {
                await leases.RevokeAsync(leaseId, cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (EtcdException e) when (KeeperErrors.IsPermissionDenied(e))
            {
                // Something of somebody else hangs on it.
            }
        }

        await client.DeleteAsync(key.Name, cancellationToken).ConfigureAwait(false);
    }

    private void Conclude(DesiredKey key, CancellationToken cancellationToken)
    {
        if (key.State == KeyState.Pending)
        {
            // It waits for a lease.
            return;
        }

        failures.Succeeded(new FailureCause(FailureArea.Write, key.Name));
        var readPermission = new FailureCause(FailureArea.ReadPermission, key.Name);
        if (key.ReadError is { } error)
        {
            failures.Failed(readPermission, error);
        }
        else
        {
            failures.Succeeded(readPermission);
        }

        if (key.Value is not null)
        {
            watcher.Watch(key, cancellationToken);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1104, LogLevel.Error, "Keeping the key '{Key}' failed unexpectedly; it is tried again.")]
        public static partial void Unexpected(ILogger logger, string key, Exception exception);
    }
}
