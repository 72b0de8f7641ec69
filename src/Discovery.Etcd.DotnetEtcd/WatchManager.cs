using System.Collections.Concurrent;
using Discovery.Etcd.DotnetEtcd.Watching;
using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using dotnet_etcd;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd;

/// <summary>
/// What <see cref="IEtcdClient"/>'s <c>Watch…</c> methods call: each watch is one of <see cref="EtcdClient"/>'s, with a reader of its own, so
/// that a slow callback delays no other watch.
/// </summary>
internal sealed class WatchManager(EtcdClient etcd, KV.KVClient keyValues, ILogger<WatchManager> logger) : IWatchManager
{
    // dotnet-etcd's own limit.
    private static readonly TimeSpan OpenLimit = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<long, CallbackWatch> _watches = new();
    private long _lastId;
    private volatile bool _isDisposed;

    /// <exception cref="NotSupportedException">A header was given that watches cannot carry.</exception>
    /// <exception cref="RpcException">etcd refused the watch, or did not open it within 30 s or the deadline.</exception>
    public async Task<long> WatchAsync(
        WatchRequest request, Action<WatchResponse> callback, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, typeof(IWatchManager));
        ArgumentNullException.ThrowIfNull(callback);
        var create = request?.CreateRequest?.Clone() ?? throw new ArgumentException("A watch needs a WatchRequest with a CreateRequest.", nameof(request));
        RefuseHeaders(headers);
        cancellationToken.ThrowIfCancellationRequested();

        var limit = TimeLeft(deadline);
        var id = Interlocked.Increment(ref _lastId);
        var watch = new CallbackWatch(id, create, callback, etcd.Watch(WatchRequests.ToOptions(create)), new MissedChanges(keyValues, create), logger);
        _watches[id] = watch;
        if (_isDisposed)
        {
            // Disposed meanwhile, maybe without seeing this watch.
            CancelWatch(id);
        }

        watch.Start();
        try
        {
            await watch.Opened.WaitAsync(limit < OpenLimit ? limit : OpenLimit, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            CancelWatch(id);
            throw watch.NotOpened(limit < OpenLimit ? limit : OpenLimit);
        }
        catch
        {
            CancelWatch(id);
            throw;
        }

        watch.EndWith(() => CancelWatch(id), TimeLeft(deadline), cancellationToken);
        return id;
    }

    public long Watch(
        WatchRequest request, Action<WatchResponse> callback, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        Wait(() => WatchAsync(request, callback, headers, deadline, cancellationToken));

    public long WatchRange(
        string path, Action<WatchResponse> callback, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        Watch(WatchRequests.OfPrefix(path), callback, headers, deadline, cancellationToken);

    public long Watch(
        string key, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        Wait(() => WatchAsync(key, action, headers, deadline, cancellationToken));

    public long Watch(
        string key, long startRevision, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        Wait(() => WatchAsync(key, startRevision, action, headers, deadline, cancellationToken));

    public long WatchRange(
        string prefixKey, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        Wait(() => WatchRangeAsync(prefixKey, action, headers, deadline, cancellationToken));

    public long WatchRange(
        string prefixKey, long startRevision, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        Wait(() => WatchRangeAsync(prefixKey, startRevision, action, headers, deadline, cancellationToken));

    public Task<long> WatchAsync(
        string key, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        WatchAsync(WatchRequests.OfKey(key), WatchRequests.ForEachEvent(action), headers, deadline, cancellationToken);

    public Task<long> WatchAsync(
        string key, long startRevision, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        WatchAsync(WatchRequests.OfKey(key, startRevision), WatchRequests.ForEachEvent(action), headers, deadline, cancellationToken);

    public Task<long> WatchRangeAsync(
        string prefixKey, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        WatchAsync(WatchRequests.OfPrefix(prefixKey), WatchRequests.ForEachEvent(action), headers, deadline, cancellationToken);

    public Task<long> WatchRangeAsync(
        string prefixKey, long startRevision, Action<WatchEvent> action, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        WatchAsync(WatchRequests.OfPrefix(prefixKey, startRevision), WatchRequests.ForEachEvent(action), headers, deadline, cancellationToken);

    /// <summary>Ends a watch; one that has ended is left alone. No callback of it begins afterwards.</summary>
    public void CancelWatch(long watchId)
    {
        if (_watches.TryRemove(watchId, out var watch))
        {
            watch.Dispose();
        }
    }

    public void Dispose()
    {
        _isDisposed = true;
        foreach (var id in _watches.Keys)
        {
            CancelWatch(id);
        }
    }

    // On the thread pool: a caller's synchronization context must not be needed by what it blocks for.
    private static long Wait(Func<Task<long>> watchAsync) => Task.Run(watchAsync).GetAwaiter().GetResult();

    // All watches share one stream, which has the client's own token and always requires a leader.
    private static void RefuseHeaders(Metadata? headers)
    {
        if (headers?.FirstOrDefault(static h => h.Key != "hasleader") is { } header)
        {
            throw new NotSupportedException(
                $"A watch cannot send the header '{header.Key}': all watches share one stream, which carries the token of the user in Etcd:Username. "
                + "Leave the headers out; for another user's watch, use another EtcdClient.");
        }
    }

    private static TimeSpan TimeLeft(DateTime? deadline)
    {
        if (deadline is not { } at || at == DateTime.MaxValue)
        {
            return TimeSpan.MaxValue;
        }

        var left = at.ToUniversalTime() - DateTime.UtcNow;
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
