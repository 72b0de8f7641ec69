using System.Runtime.CompilerServices;
using Discovery.Etcd.Watching;

namespace Discovery.Etcd;

/// <summary>
/// A watch on all keys with a prefix, on one key, or on a range. It ends only when it is disposed: broken streams, lost members, expired tokens and refusals are
/// survived and reported as updates.
/// </summary>
public sealed class EtcdWatch : IAsyncDisposable
{
    private const int Following = 0;
    private const int ListWanted = 1;
    private const int Disposed = 2;

    private readonly WatchMultiplexer _multiplexer;
    private readonly WatchSubscription _watch;

    // What the reader was told last; the watch itself lives on an event loop.
    private int _state = Following;

    internal EtcdWatch(WatchMultiplexer multiplexer, WatchSubscription watch)
    {
        _multiplexer = multiplexer;
        _watch = watch;
    }

    /// <summary>The watched prefix, or the first key watched.</summary>
    public string Prefix => _watch.Prefix;

    /// <summary>
    /// The updates, in order. To be read by one reader; ends when the watch or its client is disposed. What is not read is kept up to 64 MiB;
    /// beyond that the watch is cancelled at the server, and <see cref="EtcdWatchUpdateKind.ListAgain"/> follows what was kept. When all
    /// watches of a client keep more than 256 MiB, the one that keeps most drops it, and has to list again too.
    /// </summary>
    /// <param name="cancellationToken">Stops the reading, not the watch.</param>
    /// <exception cref="OperationCanceledException">The reading was stopped.</exception>
    public async IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var update in _watch.Updates.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            if (update.Kind == EtcdWatchUpdateKind.ListAgain)
            {
                Interlocked.CompareExchange(ref _state, ListWanted, Following);
            }

            yield return update;
        }
    }

    /// <summary>Continues after <see cref="EtcdWatchUpdateKind.ListAgain"/>.</summary>
    /// <param name="startRevision">The first revision of interest: that of the new list, plus one.</param>
    /// <param name="clusterId">The cluster that gave the new list; another one that answers later means to list again.</param>
    /// <exception cref="InvalidOperationException">The watch did not ask for a new list.</exception>
    /// <exception cref="ObjectDisposedException">The watch or its client was disposed meanwhile.</exception>
    public void Restart(long startRevision, ulong clusterId)
    {
        var state = Interlocked.CompareExchange(ref _state, Following, ListWanted);
        ObjectDisposedException.ThrowIf(state == Disposed, this);
        if (state != ListWanted)
        {
            throw new InvalidOperationException("A watch is restarted after it said to list again, and only then.");
        }

        ObjectDisposedException.ThrowIf(!_multiplexer.Restart(_watch, startRevision, clusterId), typeof(EtcdClient));
    }

    /// <summary>Ends the watch and cancels it at the server.</summary>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _state, Disposed) != Disposed)
        {
            _multiplexer.Remove(_watch);
        }

        return ValueTask.CompletedTask;
    }
}
