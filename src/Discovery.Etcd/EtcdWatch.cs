using Discovery.Etcd.Watching;

namespace Discovery.Etcd;

/// <summary>
/// A watch on all keys with a prefix. It ends only when it is disposed: broken streams, lost members, expired tokens and refusals are
/// survived and reported as updates.
/// </summary>
public sealed class EtcdWatch : IAsyncDisposable
{
    private readonly WatchHub _hub;
    private readonly WatchEntry _entry;

    internal EtcdWatch(WatchHub hub, WatchEntry entry)
    {
        _hub = hub;
        _entry = entry;
    }

    /// <summary>The watched prefix.</summary>
    public string Prefix => _entry.Prefix;

    /// <summary>
    /// The updates, in order. To be read by one reader; ends when the watch or its client is disposed. What is not read is kept up to
    /// 64 MiB; beyond that the watch is cancelled at the server, and <see cref="EtcdWatchUpdateKind.ListAgain"/> follows what was kept.
    /// </summary>
    /// <param name="cancellationToken">Stops the reading, not the watch.</param>
    public IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync(CancellationToken cancellationToken = default) =>
        _entry.Updates.ReadAllAsync(cancellationToken);

    /// <summary>Continues after <see cref="EtcdWatchUpdateKind.ListAgain"/>.</summary>
    /// <param name="startRevision">The first revision of interest: that of the new list, plus one.</param>
    /// <param name="clusterId">The cluster that gave the new list; another one that answers later means to list again.</param>
    /// <exception cref="InvalidOperationException">The watch did not ask for a new list.</exception>
    /// <exception cref="ObjectDisposedException">The watch or its client was disposed meanwhile.</exception>
    public void Restart(long startRevision, ulong clusterId) => _hub.Restart(_entry, startRevision, clusterId);

    /// <summary>Ends the watch and cancels it at the server.</summary>
    public ValueTask DisposeAsync()
    {
        _hub.Remove(_entry);
        return ValueTask.CompletedTask;
    }
}
