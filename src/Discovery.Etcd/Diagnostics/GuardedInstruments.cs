using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Discovery.Etcd.Diagnostics;

/// <summary>
/// Measures without ever failing. What a listener throws comes out where something is measured, and must end no loop and no call, nor leave a
/// count raised: that a value is lost is the lesser harm.
/// </summary>
internal static class GuardedInstruments
{
    public static void TryAdd(this Counter<long> counter, long value, in TagList tags)
    {
        try
        {
            counter.Add(value, tags);
        }
        catch (Exception)
        {
            // The listener's to find.
        }
    }

    public static void TryAdd(this UpDownCounter<long> counter, long value, in TagList tags)
    {
        try
        {
            counter.Add(value, tags);
        }
        catch (Exception)
        {
            // The listener's to find.
        }
    }

    public static void TryRecord(this Histogram<double> histogram, double value, in TagList tags)
    {
        try
        {
            histogram.Record(value, tags);
        }
        catch (Exception)
        {
            // The listener's to find.
        }
    }
}
