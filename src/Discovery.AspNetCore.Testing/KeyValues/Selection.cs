using Discovery.AspNetCore.Testing.Store;
using Discovery.Etcd.Protocol;

namespace Discovery.AspNetCore.Testing.KeyValues;

/// <summary>The part of a range request that comes after the read: revision bounds, order, limit, keys only.</summary>
internal readonly struct Selection(RangeRequest request)
{
    private bool Sorts => request.SortOrder != RangeRequest.Types.SortOrder.None || request.SortTarget != RangeRequest.Types.SortTarget.Key;

    private bool Filters => request.MinModRevision != 0 || request.MaxModRevision != 0
        || request.MinCreateRevision != 0 || request.MaxCreateRevision != 0;

    /// <summary>The limit counts only after sorting and filtering, so all records have to be read.</summary>
    public bool ReadsAll => Sorts || Filters;

    public void Fill(RangeResponse response, List<KeyValue> records)
    {
        IEnumerable<KeyValue> selected = records;
        if (Filters)
        {
            selected = selected.Where(Admits).ToList();
        }

        if (Sorts)
        {
            selected = Sort(selected);
        }

        if (ReadsAll && request.Limit > 0)
        {
            var all = selected.ToList();
            response.More = all.Count > request.Limit;
            selected = all.Take((int)Math.Min(request.Limit, int.MaxValue));
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
