using Discovery.EmbeddedEtcd.Contract;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>
/// The multi-version store: every committed transaction is one revision, and the past can be read until it is compacted.
/// Not thread-safe: the engine's gate guards it.
/// </summary>
internal sealed class MvccStore
{
    private readonly KeyIndex _index = new();

    /// <summary>The revision of the last committed transaction. A new store is at 1, as etcd's is.</summary>
    public long Revision { get; private set; } = 1;

    /// <summary>The revision of the last compaction: the oldest that can be read. -1 before the first, as in etcd.</summary>
    public long CompactedRevision { get; private set; } = -1;

    public ChangeLog Log { get; } = new();

    /// <summary>The keys of which anything is retained, deleted ones included.</summary>
    public int KeyCount => _index.Count;

    /// <summary>The bytes of all retained keys and values.</summary>
    public long Size { get; private set; }

    /// <summary>Reads a range as of a revision.</summary>
    /// <param name="range">The keys.</param>
    /// <param name="revision">The revision to read at; zero or less is the current one.</param>
    /// <param name="current">The newest revision the reader may see: in a transaction that has written, the one it will commit.</param>
    /// <param name="limit">The most records to return; zero is no limit. The count is complete nevertheless.</param>
    /// <param name="countOnly">Return no records.</param>
    public RangeResult Range(KeyInterval range, long revision, long current, long limit = 0, bool countOnly = false)
    {
        if (revision > current)
        {
            throw ServerErrors.FutureRevision();
        }

        revision = revision <= 0 ? current : revision;
        if (revision < CompactedRevision)
        {
            throw ServerErrors.Compacted();
        }

        if (range.IsSingle)
        {
            return _index.Find(range.Key)?.At(revision) is { } record ? new(countOnly ? [] : [record], 1) : new([], 0);
        }

        var records = new List<KeyValue>();
        var count = 0L;
        foreach (var history in _index.In(range))
        {
            if (history.At(revision) is { } record)
            {
                count++;
                if (!countOnly && (limit <= 0 || count <= limit))
                {
                    records.Add(record);
                }
            }
        }

        return new(records, count);
    }

    /// <summary>etcd's checksum of the history up to a revision; zero is the current one.</summary>
    public uint Hash(long revision)
    {
        if (revision > Revision)
        {
            throw ServerErrors.FutureRevision();
        }

        if (revision > 0 && revision < CompactedRevision)
        {
            throw ServerErrors.Compacted();
        }

        return StoreHash.Of(_index.All, revision == 0 ? Revision : revision, CompactedRevision);
    }

    public KeyValue? Find(ByteString key) => _index.Find(key)?.Current;

    public KeyHistory History(ByteString key) => _index.GetOrAdd(key);

    public void Apply(Change change)
    {
        change.History.Append(change);
        Size += change.Size;
    }

    /// <summary>Takes back the last change of a key.</summary>
    public void Revert(Change change)
    {
        change.History.RemoveLast();
        Size -= change.Size;
        if (change.History.IsEmpty)
        {
            _index.Remove(change.History.Key);
        }
    }

    public void Commit(List<Change> changes)
    {
        Revision++;
        Log.Append(changes);
    }

    /// <summary>Forgets the past before a revision.</summary>
    public void Compact(long revision)
    {
        if (revision <= CompactedRevision)
        {
            throw ServerErrors.Compacted();
        }

        if (revision > Revision)
        {
            throw ServerErrors.FutureRevision();
        }

        // Only a key that was written since the last compaction has anything to forget.
        var end = Log.IndexOf(revision + 1);
        var touched = new HashSet<KeyHistory>();
        for (var i = 0; i < end; i++)
        {
            touched.Add(Log[i].History);
        }

        foreach (var history in touched)
        {
            Size -= history.Compact(revision);
            if (history.IsEmpty)
            {
                _index.Remove(history.Key);
            }
        }

        Log.Compact(revision);
        CompactedRevision = revision;
    }
}
