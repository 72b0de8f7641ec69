using System.Collections.Immutable;
using System.Text.Unicode;

namespace Discovery.Etcd.Following;

/// <summary>The records of a prefix as of one revision, and the rules by which changes and lists become part of them. Used by one loop.</summary>
internal sealed class PrefixRecords(string prefix)
{
    private readonly List<EtcdWatchUpdate> _sinceListBegan = [];
    private readonly HashSet<string> _skipped = new(StringComparer.Ordinal);
    private ImmutableSortedDictionary<string, EtcdKeyValue> _items = ImmutableSortedDictionary.Create<string, EtcdKeyValue>(StringComparer.Ordinal);
    private bool _isListing;
    private long _revisionBefore;

    public long Revision { get; private set; }

    public ulong ClusterId { get; private set; }

    public EtcdPrefixSnapshot ToSnapshot() =>
        new() { Prefix = prefix, Revision = Revision, ClusterId = ClusterId, Items = _items, SkippedKeys = _skipped.Count };

    /// <summary>Nothing changed up to a revision.</summary>
    public void Advance(long revision) => Revision = Math.Max(Revision, revision);

    /// <summary>Takes the changes of one revision.</summary>
    /// <returns>Whether they are new: a list may have shown them before the watch does.</returns>
    public bool Apply(EtcdWatchUpdate update)
    {
        if (update.Revision <= Revision)
        {
            return false;
        }

        if (_isListing)
        {
            _sinceListBegan.Add(update);
        }

        Revision = update.Revision;
        _items = Change(_items, update.Events);
        return true;
    }

    /// <summary>A list is asked for; what the watch brings meanwhile may be newer than the list.</summary>
    public void BeginList()
    {
        (_isListing, _revisionBefore) = (true, Revision);
        _sinceListBegan.Clear();
    }

    /// <summary>The list failed, or another one has replaced it.</summary>
    public void EndList()
    {
        _isListing = false;
        _sinceListBegan.Clear();
    }

    /// <summary>Whether the cluster that gave a list still has the history that the records come from. Linearizable answers never go back.</summary>
    public bool Continues(EtcdListing listing) =>
        listing.Revision >= _revisionBefore && (listing.ClusterId == ClusterId || listing.ClusterId == 0 || ClusterId == 0);

    /// <summary>Takes the list that <see cref="BeginList"/> announced, and what the watch brought since.</summary>
    /// <returns>Whether that differs from what was known.</returns>
    public bool Take(EtcdListing listing)
    {
        var before = _items;
        var skippedBefore = _skipped.Count;
        var since = Continues(listing) ? _sinceListBegan.Where(u => u.Revision > listing.Revision) : [];
        Revision = Continues(listing) ? Math.Max(Revision, listing.Revision) : listing.Revision;
        ClusterId = listing.ClusterId;
        _skipped.Clear();
        _items = since.Aggregate(
            Change(before.Clear(), listing.Items.Select(static r => new EtcdWatchEvent { Deleted = false, Record = r })),
            (items, update) => Change(items, update.Events));
        EndList();
        if (skippedBefore == _skipped.Count && before.Count == _items.Count && before.Values.Zip(_items.Values).All(static pair => AreEqual(pair.First, pair.Second)))
        {
            // Who compares snapshots by reference sees that nothing happened.
            _items = before;
            return false;
        }

        return true;
    }

    private static bool AreEqual(EtcdKeyValue one, EtcdKeyValue other) =>
        one.ModRevision == other.ModRevision && one.CreateRevision == other.CreateRevision && one.LeaseId == other.LeaseId && one.Version == other.Version
        && string.Equals(one.Key, other.Key, StringComparison.Ordinal) && one.Value.Span.SequenceEqual(other.Value.Span);

    private ImmutableSortedDictionary<string, EtcdKeyValue> Change(
        ImmutableSortedDictionary<string, EtcdKeyValue> items, IEnumerable<EtcdWatchEvent> events)
    {
        var changed = items.ToBuilder();
        foreach (var change in events)
        {
            var record = change.Record;
            var isText = Utf8.IsValid(record.KeyBytes.Span);
            switch (change.Deleted)
            {
                case true when isText:
                    changed.Remove(record.Key);
                    break;
                case true:
                    _skipped.Remove(Convert.ToHexString(record.KeyBytes.Span));
                    break;
                case false when isText:
                    changed[record.Key] = record;
                    break;
                default:
                    _skipped.Add(Convert.ToHexString(record.KeyBytes.Span));
                    break;
            }
        }

        return changed.ToImmutable();
    }
}
