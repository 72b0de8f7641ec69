using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Leasing;
using Discovery.Etcd.Watching;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd;

/// <summary>
/// Holds one lease and a set of keys on it: what was put stands in etcd again after the lease was lost, the process was paused, or
/// somebody deleted a key. Nothing throws because etcd is away; it converges when etcd is back. The lease is asked for with the first key,
/// and let go within a third of its time to live after the last key was removed. Thread-safe.
/// </summary>
public sealed partial class EtcdLeaseKeeper : IAsyncDisposable
{
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _gate = new();
    private readonly DesiredKeys _keys = new();
    private readonly LeaseRequests _leases;
    private readonly KeyValueClient _client;
    private readonly KeeperFailures _failures;
    private readonly LeaseStatusPublisher _status;
    private readonly LeaseHolder _holder;
    private readonly KeyReconciler _reconciler;
    private readonly ILogger _logger;
    private Task? _running;
    private Task? _ending;

    internal EtcdLeaseKeeper(
        TimeSpan timeToLive,
        LeaseRequests leases,
        KeyValueClient client,
        WatchMultiplexer watches,
        EtcdOutage outage,
        TimeProvider time,
        ILogger logger)
    {
        _leases = leases;
        _client = client;
        _logger = logger;
        _failures = new KeeperFailures(outage, time, logger);
        _status = new LeaseStatusPublisher(_keys, _failures, logger);
        _holder = new LeaseHolder(timeToLive, leases, _keys, _failures, _status, time, logger);
        var watcher = new OwnKeyWatcher(watches, client, _keys, _failures, OnConflict, time);
        _reconciler = new KeyReconciler(_keys, client, leases, watcher, _failures, _status, OnConflict, time, logger);
    }

    /// <summary>The lease's present state.</summary>
    public EtcdLeaseStatus Status => _status.Current;

    /// <summary>Raised after <see cref="Status"/> changed, never two at a time. Handlers must be quick and not throw.</summary>
    public event Action<EtcdLeaseStatus>? StatusChanged
    {
        add => _status.Changed += value;
        remove => _status.Changed -= value;
    }

    /// <summary>
    /// Raised when another process owns a key of ours: it hangs on a lease that is not ours. It is left alone until it is gone or put
    /// again. Handlers must be quick and not throw.
    /// </summary>
    public event Action<EtcdKeyValue>? KeyConflict;

    /// <summary>
    /// Desires a key to stand in etcd with this value, on the lease, and takes it over from whoever holds it when etcd is first asked. A
    /// later owner is never overwritten, unless the key is put again. Returns at once.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="ObjectDisposedException">The keeper was stopped or disposed.</exception>
    public void Put(string key, ReadOnlyMemory<byte> value)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ending is not null, this);
            _keys.Put(key, value.ToArray());
            _running ??= Detached.Run(() => Task.WhenAll(_holder.RunAsync(_ended.Token), _reconciler.RunAsync(_ended.Token)));
        }
    }

    /// <summary>Desires another value for a key that was put before, unless another process owns it meanwhile. Returns at once.</summary>
    /// <param name="key">The key; one that was never put, or was removed, is left alone.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="ObjectDisposedException">The keeper was stopped or disposed.</exception>
    public void Update(string key, ReadOnlyMemory<byte> value)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ending is not null, this);
            _keys.Update(key, value.ToArray());
        }
    }

    /// <summary>
    /// Desires a key of ours to be gone. It is deleted only if it still hangs on a lease of ours; where etcd does not let us see that, the
    /// lease is revoked if it holds nothing else, or the key is deleted. Returns at once.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <exception cref="ObjectDisposedException">The keeper was stopped or disposed.</exception>
    public void Remove(string key)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ending is not null, this);
            _keys.Remove(key);
        }
    }

    /// <summary>
    /// Desires a key of ours to be gone, and to have a last value before, which tells whoever watches it why it goes. As long as etcd is away
    /// the lease is kept for that; where etcd refuses the value, or the lease is lost, the key goes without it. Returns at once.
    /// </summary>
    /// <param name="key">The key; one that was never put, or was removed, is left alone.</param>
    /// <param name="lastValue">The value.</param>
    /// <exception cref="ObjectDisposedException">The keeper was stopped or disposed.</exception>
    public void Remove(string key, ReadOnlyMemory<byte> lastValue)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ending is not null, this);
            _keys.Remove(key, lastValue.ToArray());
        }
    }

    /// <summary>
    /// Leaves a key to other processes that desire it with the same value: it is put on the lease of the last one that was seen to hold it,
    /// so that at no moment it is absent. Where there is none, it is removed. Returns at once.
    /// </summary>
    /// <param name="key">The key; one that was never put, or was removed, is left alone.</param>
    /// <exception cref="ObjectDisposedException">The keeper was stopped or disposed.</exception>
    public void HandOver(string key)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ending is not null, this);
            _keys.HandOver(key);
        }
    }

    /// <summary>Waits until etcd holds what is desired at the time of the call. Keys that another process owns are not waited for.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="ObjectDisposedException">The keeper was stopped or disposed meanwhile.</exception>
    public Task FlushAsync(CancellationToken cancellationToken = default) => _keys.FlushAsync(cancellationToken);

    /// <summary>Ends, and revokes the lease, which deletes all keys that are still ours.</summary>
    /// <param name="cancellationToken">Bounds the attempt.</param>
    /// <exception cref="EtcdException">etcd is away, or refused: what could not be deleted goes when the lease expires.</exception>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        await EndAsync().ConfigureAwait(false);

        // What we hold for lost may still live at the server, so earlier leases are ended too: a revocation takes only the keys of that lease.
        await Task.WhenAll(_keys.LeaseIds.Select(lease => RevokeAsync(lease, cancellationToken))).ConfigureAwait(false);
    }

    /// <summary>Ends and leaves the lease to run out by itself, with its keys. Call <see cref="StopAsync"/> first for a clean end.</summary>
    public ValueTask DisposeAsync() => new(EndAsync());

    // etcd revokes a lease only for who may write all of its keys. One that may not be written any more must not keep the others there.
    private async Task RevokeAsync(long lease, CancellationToken cancellationToken)
    {
        try
        {
            await _leases.RevokeAsync(lease, cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e) when (KeeperErrors.IsPermissionDenied(e))
        {
            foreach (var key in _keys.All)
            {
                try
                {
                    await DeleteAsync(key, lease, cancellationToken).ConfigureAwait(false);
                }
                catch (EtcdException refusal) when (KeeperErrors.IsPermissionDenied(refusal))
                {
                    // It stays until the lease expires, which the caller is told.
                }
            }

            throw;
        }
    }

    private async Task DeleteAsync(DesiredKey key, long lease, CancellationToken cancellationToken)
    {
        if (key.ReadError is not null)
        {
            await _client.DeleteAsync(key.Name, cancellationToken).ConfigureAwait(false);
            return;
        }

        var transaction = new EtcdTransaction { When = [EtcdCompare.Lease(key.Name, lease)], Then = [EtcdOperation.Delete(key.Name)] };
        await _client.ExecuteAsync(transaction, cancellationToken).ConfigureAwait(false);
    }

    private void OnConflict(EtcdKeyValue record)
    {
        // With the very same value it is a replica's, and nobody reads anything wrong.
        var isSame = _keys.All.Any(k => k.Name == record.Key && k.Value is { } own && record.Value.Span.SequenceEqual(own));
        Log.KeyConflict(_logger, isSame ? LogLevel.Information : LogLevel.Warning, record.Key, record.LeaseId);
        try
        {
            KeyConflict?.Invoke(record);
        }
        catch (Exception e)
        {
            // A handler's mistake must not cost the lease.
            Log.HandlerFailed(_logger, e);
        }
    }

    private Task EndAsync()
    {
        lock (_gate)
        {
            return _ending ??= EndOnceAsync(_running ?? Task.CompletedTask);
        }
    }

    private async Task EndOnceAsync(Task running)
    {
        await _ended.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
        _failures.End();
        _status.Set(EtcdLeaseState.Stopped);
        _keys.Close(new ObjectDisposedException(nameof(EtcdLeaseKeeper)));
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1105, Message = "Another owner has the key '{Key}' now (lease {LeaseId:x}); it is left alone.")]
        public static partial void KeyConflict(ILogger logger, LogLevel level, string key, long leaseId);

        [LoggerMessage(1120, LogLevel.Error, "A handler of KeyConflict failed.")]
        public static partial void HandlerFailed(ILogger logger, Exception exception);
    }
}
