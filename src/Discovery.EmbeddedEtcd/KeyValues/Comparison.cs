using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>One condition of a transaction.</summary>
internal static class Comparison
{
    // A key that does not exist: all its numbers are zero.
    private static readonly KeyValue Missing = new();

    public static bool Holds(StoreTransaction transaction, Compare compare)
    {
        var records = transaction.Range(KeyInterval.Of(compare.Key, compare.RangeEnd)).Records;
        if (records.Count > 0)
        {
            return records.TrueForAll(r => Holds(compare, r));
        }

        // A missing value cannot be told from an empty one, so it compares with nothing.
        return compare.Target != Compare.Types.CompareTarget.Value && Holds(compare, Missing);
    }

    private static bool Holds(Compare compare, KeyValue record)
    {
        var order = compare.Target switch
        {
            Compare.Types.CompareTarget.Version => record.Version.CompareTo(compare.Version),
            Compare.Types.CompareTarget.Create => record.CreateRevision.CompareTo(compare.CreateRevision),
            Compare.Types.CompareTarget.Mod => record.ModRevision.CompareTo(compare.ModRevision),
            Compare.Types.CompareTarget.Value => record.Value.CompareTo(compare.Value),
            Compare.Types.CompareTarget.Lease => record.Lease.CompareTo(compare.Lease),
            _ => 0,
        };
        return compare.Result switch
        {
            Compare.Types.CompareResult.Equal => order == 0,
            Compare.Types.CompareResult.NotEqual => order != 0,
            Compare.Types.CompareResult.Greater => order > 0,
            Compare.Types.CompareResult.Less => order < 0,
            _ => true,
        };
    }
}
