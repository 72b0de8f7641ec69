using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore.Balancing;

namespace Discovery.Benchmarks.Scale;

/// <summary>
/// <c>onechange</c>: what it costs a client when one instance of a large service changes, from the event to the next pick, beside the same in
/// a service of ten.
/// </summary>
internal static class OneChangeBenchmark
{
    private const double MostOfSmall = 2;
    private const int Large = 10_000;
    private const int Small = 10;

    public static Task RunAsync(Report report, bool isQuick)
    {
        var changes = isQuick ? 20 : 100;
        foreach (var policy in new PolicyCatalog([]).Names)
        {
            // To have it compiled.
            Measure(Small, policy, 2_000);
            var (time, bytes) = Measure(Large, policy, changes);
            var (smallTime, smallBytes) = Measure(Small, policy, 2_000);
            report.AddRatioAtMost("onechange", string.Create(CultureInfo.InvariantCulture, $"{policy}, one of {Large:N0}"), "µs", time, smallTime, MostOfSmall);
            report.AddRatioAtMost("onechange", "  allocated", "B", bytes, smallBytes, MostOfSmall);
        }

        return Task.CompletedTask;
    }

    /// <returns>The medians of the time that a change takes its thread, and of the bytes that it allocates.</returns>
    public static (double Microseconds, double Bytes) Measure(int size, string policy, int changes)
    {
        using var service = new ServiceOfSize(size, policy);
        var (times, bytes) = (new List<double>(changes), new List<double>(changes));
        for (var i = 0; i < changes + 4; i++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var started = Stopwatch.GetTimestamp();
            service.Change(i / 2 % size, isDraining: i % 2 == 0);
            if (i >= 4)
            {
                times.Add(Stopwatch.GetElapsedTime(started).TotalMicroseconds);
                bytes.Add(GC.GetAllocatedBytesForCurrentThread() - before);
            }
        }

        return (times.Median(), bytes.Median());
    }
}
