using Discovery.Etcd.KeyValues;

namespace Discovery.Etcd.Watching;

/// <summary>All watches of a client. Its lock guards the entries too.</summary>
internal sealed class WatchTable
{
    // Ids of ours start where no proxy's counter gets to, so the two are never mistaken for each other.
    private const long FirstId = 1L << 32;

    private readonly List<WatchEntry> _entries = [];
    private long _lastId = FirstId;
    private bool _closed;

    public Lock Gate { get; } = new();

    /// <summary>Set with each change that may call for a stream.</summary>
    public Signal Changed { get; } = new();

    /// <summary>Whether the watches need a stream.</summary>
    public bool NeedsStream
    {
        get
        {
            lock (Gate)
            {
                return _entries.Exists(e => e.Phase != WatchPhase.Idle);
            }
        }
    }

    public WatchEntry Add(string prefix, KeyRange range, long startRevision, ulong clusterId)
    {
        lock (Gate)
        {
            ObjectDisposedException.ThrowIf(_closed, typeof(EtcdClient));
            var entry = new WatchEntry(prefix, range, startRevision, clusterId);
            _entries.Add(entry);
            Changed.Set();
            return entry;
        }
    }

    public long NextIdLockHeld() => ++_lastId;

    public void RemoveLockHeld(WatchEntry entry)
    {
        entry.Close();
        _entries.Remove(entry);
        Changed.Set();
    }

    /// <summary>Ends all watches, and takes no more.</summary>
    public void Close()
    {
        lock (Gate)
        {
            _closed = true;
            _entries.ForEach(e => e.Close());
            _entries.Clear();
        }
    }

    public bool IsEmptyLockHeld => _entries.Count == 0;

    /// <summary>The entries, as they are now.</summary>
    public IReadOnlyList<WatchEntry> AllLockHeld() => [.. _entries];

    /// <summary>The next watch to be created, if any is due.</summary>
    public WatchEntry? NextDueLockHeld(long now) => _entries.Find(e => e.Phase == WatchPhase.Waiting && e.NotBefore <= now);

    /// <summary>The open watch that the server knows by this id.</summary>
    public WatchEntry? FindOpenLockHeld(long serverId) => _entries.Find(e => e.Phase == WatchPhase.Open && e.ServerId == serverId);
}
