namespace Discovery.EmbeddedEtcd.Store;

/// <summary>The changes since the last compaction in the order in which they happened: what a watch of the past reads.</summary>
internal sealed class ChangeLog
{
    private readonly List<Change> _changes = [];

    public int Count => _changes.Count;

    public Change this[int index] => _changes[index];

    public void Append(List<Change> changes) => _changes.AddRange(changes);

    /// <summary>The index of the first change at the revision or later.</summary>
    public int IndexOf(long revision)
    {
        var (low, high) = (0, _changes.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_changes[middle].Revision < revision)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>
    /// Forgets what happened before the revision, and at the revision whatever the histories, compacted before, do not retain:
    /// a watch may start at the compacted revision itself and sees the last change of each key there.
    /// </summary>
    public void Compact(long revision)
    {
        var end = IndexOf(revision + 1);
        var retained = _changes.GetRange(IndexOf(revision), end - IndexOf(revision)).FindAll(c => c.History.Retains(c));
        _changes.RemoveRange(0, end);
        _changes.InsertRange(0, retained);
        if (_changes.Capacity > 1024 && _changes.Count < _changes.Capacity / 4)
        {
            _changes.TrimExcess();
        }
    }
}
