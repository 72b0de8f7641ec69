using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Leasing;
using Discovery.Etcd.Watching;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd;

/// <summary>
/// Holds one lease and a set of keys on it, for as long as it lives: what was put stands in etcd again after the lease was lost, the
/// process was paused, or somebody deleted a key. Nothing throws because etcd is away; it converges when etcd is back.
/// </summary>
public sealed partial class EtcdLeaseKeeper : IAsyncDisposable
{
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _gate = new();
    private readonly LeaseClient _leases;
    private readonly KeyValueClient _client;
    private readonly WantedKeys _keys = new();
    private readonly LeaseStatusBoard _status;
    private readonly LeaseLoop _loop;
    private readonly ILogger _logger;
    private Task? _running;

    internal EtcdLeaseKeeper(
        TimeSpan timeToLive, LeaseClient leases, KeyValueClient client, WatchMultiplexer watches, TimeProvider time, ILogger logger)
    {
        _leases = leases;
        _client = client;
        _logger = logger;
        _status = new LeaseStatusBoard(_keys, logger);
        _loop = new LeaseLoop(timeToLive, leases, client, watches, _keys, _status, OnTaken, time, logger);
    }

    /// <summary>The lease's present state.</summary>
    public EtcdLeaseStatus Status => _status.Current;

    /// <summary>Raised after <see cref="Status"/> changed, never two at a time. Handlers must be quick and not throw.</summary>
    public event Action<EtcdLeaseStatus>? StatusChanged
    {
        add => _status.Changed += value;
        remove => _status.Changed -= value;
    }

    /// <summary>Raised when a key of ours was found in other hands: it hangs on another lease. It is left alone until it is gone or put again.</summary>
    public event Action<EtcdKeyValue>? KeyTaken;

    /// <summary>Wants a key to stand in etcd with this value, on the lease, whoever holds it now. Returns at once.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    public void Put(string key, ReadOnlyMemory<byte> value)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ended.IsCancellationRequested, this);
            _keys.Put(key, value.ToArray());
            _running ??= Task.Run(() => _loop.RunAsync(_ended.Token));
        }
    }

    /// <summary>Wants another value for a key that was put before, unless it is in other hands meanwhile. Returns at once.</summary>
    /// <param name="key">The key; one that was never put, or was removed, is left alone.</param>
    /// <param name="value">The value.</param>
    public void Update(string key, ReadOnlyMemory<byte> value)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ended.IsCancellationRequested, this);
            _keys.Update(key, value.ToArray());
        }
    }

    /// <summary>Wants a key of ours to be gone. It is deleted only if it still hangs on our lease. Returns at once.</summary>
    /// <param name="key">The key.</param>
    public void Remove(string key)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ended.IsCancellationRequested, this);
            _keys.Remove(key);
        }
    }

    /// <summary>Waits until etcd holds what is wanted at the time of the call.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public Task FlushAsync(CancellationToken cancellationToken = default) => _keys.FlushAsync(cancellationToken);

    /// <summary>Deletes what is ours, revokes the lease and ends. Fails with <see cref="EtcdException"/> when etcd is away: the lease then expires.</summary>
    /// <param name="cancellationToken">Bounds the attempt.</param>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        await EndAsync();

        // What we hold for lost may still live at the server, so earlier leases are ended too: a revocation takes only the keys of that lease.
        var leases = _keys.Leases();
        foreach (var key in leases.Count > 0 ? _keys.All() : [])
        {
            await _client.ExecuteAsync(
                new EtcdTransaction { When = [EtcdCompare.Lease(key.Key, leases[0])], Then = [EtcdOperation.Delete(key.Key)] }, cancellationToken);
        }

        foreach (var lease in leases)
        {
            await _leases.RevokeAsync(lease, cancellationToken);
        }
    }

    /// <summary>Ends without a goodbye: the lease runs out by itself. Call <see cref="StopAsync"/> first for a clean end.</summary>
    public ValueTask DisposeAsync() => new(EndAsync());

    private void OnTaken(EtcdKeyValue record)
    {
        Log.KeyTaken(_logger, record.Key, record.LeaseId);
        try
        {
            KeyTaken?.Invoke(record);
        }
        catch (Exception e)
        {
            // A handler's mistake must not cost the lease.
            Log.HandlerFailed(_logger, e);
        }
    }

    private async Task EndAsync()
    {
        Task? running;
        lock (_gate)
        {
            if (_ended.IsCancellationRequested)
            {
                return;
            }

            _ended.Cancel();
            running = _running;
        }

        await (running ?? Task.CompletedTask);
        foreach (var key in _keys.All())
        {
            await KeyGuard.UnwatchAsync(key);
        }

        _status.Stopped();
        _keys.Close(new ObjectDisposedException(nameof(EtcdLeaseKeeper)));
    }

    private static partial class Log
    {
        [LoggerMessage(10, LogLevel.Warning, "The key '{Key}' was taken over by somebody else's lease {LeaseId:x}; it is left alone.")]
        public static partial void KeyTaken(ILogger logger, string key, long leaseId);

        [LoggerMessage(11, LogLevel.Error, "A handler of KeyTaken failed.")]
        public static partial void HandlerFailed(ILogger logger, Exception exception);
    }
}
