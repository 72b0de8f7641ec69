using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>All retained changes of one key, oldest first.</summary>
internal sealed class KeyHistory(ByteString key)
{
    private readonly List<Change> _changes = new(capacity: 1);

    public ByteString Key => key;

    public bool IsEmpty => _changes.Count == 0;

    public IReadOnlyList<Change> Changes => _changes;

    /// <summary>The key's record now, or <see langword="null"/> where it does not exist.</summary>
    public KeyValue? Current => _changes.Count > 0 && _changes[^1] is { IsDelete: false } last ? last.Record : null;

    /// <summary>The key's record as of a revision, or <see langword="null"/> where it did not exist.</summary>
    public KeyValue? At(long revision)
    {
        var index = LastUpTo(revision);
        return index >= 0 && !_changes[index].IsDelete ? _changes[index].Record : null;
    }

    public void Append(Change change) => _changes.Add(change);

    public void RemoveLast() => _changes.RemoveAt(_changes.Count - 1);

    /// <summary>
    /// Forgets what no read at the revision or later can see: all but the last change up to it, and that too if it is a deletion
    /// before it. A deletion at the revision itself stays for watches that start there.
    /// </summary>
    /// <returns>The bytes forgotten.</returns>
    public long Compact(long revision)
    {
        var index = LastUpTo(revision);
        if (index < 0)
        {
            return 0;
        }

        var forgotten = _changes[index] is { IsDelete: true } last && last.Revision < revision ? index + 1 : index;
        var size = 0L;
        for (var i = 0; i < forgotten; i++)
        {
            size += _changes[i].Size;
        }

        _changes.RemoveRange(0, forgotten);
        return size;
    }

    public bool Retains(Change change) => _changes.Contains(change);

    // A transaction may write a key twice in one revision; the later write counts, hence the last of equals.
    private int LastUpTo(long revision)
    {
        var (low, high) = (0, _changes.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_changes[middle].Revision <= revision)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }
}
