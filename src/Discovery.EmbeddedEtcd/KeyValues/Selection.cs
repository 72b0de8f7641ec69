using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>The part of a range request that comes after the read: revision bounds, order, limit, keys only.</summary>
internal readonly struct Selection(RangeRequest request)
{
    private bool Sorts => request.SortOrder != RangeRequest.Types.SortOrder.None || request.SortTarget != RangeRequest.Types.SortTarget.Key;

    private bool Filters => request.MinModRevision != 0 || request.MaxModRevision != 0
        || request.MinCreateRevision != 0 || request.MaxCreateRevision != 0;

    /// <summary>
    /// How many records to read, in the order of their keys: one more than wanted tells that there are more. An order or a bound needs
    /// all of them; a target without an order does not, and sorts what the limit left, as in etcd.
    /// </summary>
    public long ReadLimit => request.Limit <= 0 || Filters || request.SortOrder != RangeRequest.Types.SortOrder.None ? 0 : request.Limit + 1;

    public void Fill(RangeResponse response, List<KeyValue> records)
    {
        IEnumerable<KeyValue> selected = records;
        if (Filters)
        {
            records = records.FindAll(Admits);
            selected = records;
        }

        if (Sorts)
        {
            selected = Sort(records);
        }

        if (request.Limit > 0 && records.Count > request.Limit)
        {
            response.More = true;
            selected = selected.Take((int)request.Limit);
        }

        response.Kvs.AddRange(request.KeysOnly ? selected.Select(WithoutValue) : selected);
    }

    private bool Admits(KeyValue record)
        => (request.MaxModRevision == 0 || record.ModRevision <= request.MaxModRevision)
        && (request.MinModRevision == 0 || record.ModRevision >= request.MinModRevision)
        && (request.MaxCreateRevision == 0 || record.CreateRevision <= request.MaxCreateRevision)
        && (request.MinCreateRevision == 0 || record.CreateRevision >= request.MinCreateRevision);

    // A target other than the key sorts upwards even without an order; equals stay in the order of their keys.
    private IEnumerable<KeyValue> Sort(IEnumerable<KeyValue> records)
    {
        Comparison<KeyValue> comparison = request.SortTarget switch
        {
            RangeRequest.Types.SortTarget.Version => static (a, b) => a.Version.CompareTo(b.Version),
            RangeRequest.Types.SortTarget.Create => static (a, b) => a.CreateRevision.CompareTo(b.CreateRevision),
            RangeRequest.Types.SortTarget.Mod => static (a, b) => a.ModRevision.CompareTo(b.ModRevision),
            RangeRequest.Types.SortTarget.Value => static (a, b) => a.Value.CompareTo(b.Value),
            _ => static (a, b) => a.Key.CompareTo(b.Key),
        };
        var comparer = Comparer<KeyValue>.Create(comparison);
        return request.SortOrder == RangeRequest.Types.SortOrder.Descend
            ? records.OrderDescending(comparer)
            : records.Order(comparer);
    }

    private static KeyValue WithoutValue(KeyValue record) => new()
    {
        Key = record.Key,
        CreateRevision = record.CreateRevision,
        ModRevision = record.ModRevision,
        Version = record.Version,
        Lease = record.Lease,
    };
}
