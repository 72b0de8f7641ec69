using Discovery.EmbeddedEtcd.Leases;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>The writes that become one revision; reads in it see what it has written.</summary>
internal sealed class StoreTransaction(MvccStore store, LeaseTable leases)
{
    private readonly long _begin = store.Revision;

    public List<Change> Changes { get; } = new(capacity: 1);

    /// <summary>The newest revision that a read in this transaction sees: the one it will commit once it has written.</summary>
    public long Revision => Changes.Count > 0 ? _begin + 1 : _begin;

    public RangeResult Range(KeyInterval range, long revision = 0, long limit = 0, bool countOnly = false)
        => store.Range(range, revision, Revision, limit, countOnly);

    public KeyValue? Find(ByteString key) => store.Find(key);

    public void Put(ByteString key, ByteString value, long lease)
    {
        var revision = _begin + 1;
        var history = store.History(key);
        var previous = history.Current;
        var record = new KeyValue
        {
            Key = history.Key,
            Value = value,
            CreateRevision = previous?.CreateRevision ?? revision,
            ModRevision = revision,
            Version = (previous?.Version ?? 0) + 1,
            Lease = lease,
        };
        Apply(new Change(history, record, Changes.Count, isDelete: false));
        leases.Move(history.Key, previous?.Lease ?? 0, lease);
    }

    /// <returns>How many keys it deleted.</returns>
    public long Delete(KeyInterval range)
    {
        var records = Range(range).Records;
        foreach (var record in records)
        {
            var tombstone = new KeyValue { Key = record.Key, ModRevision = _begin + 1 };
            Apply(new Change(store.History(record.Key), tombstone, Changes.Count, isDelete: true));
            leases.Move(record.Key, record.Lease, to: 0);
        }

        return records.Count;
    }

    /// <summary>Takes back what it has written.</summary>
    public void Rollback()
    {
        for (var i = Changes.Count - 1; i >= 0; i--)
        {
            var change = Changes[i];
            store.Revert(change);
            leases.Move(change.Record.Key, change.Record.Lease, change.History.Current?.Lease ?? 0);
        }

        Changes.Clear();
    }

    private void Apply(Change change)
    {
        store.Apply(change);
        Changes.Add(change);
    }
}
