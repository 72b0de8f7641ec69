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
        var changes = isQuick ? 1_000 : 5_000;
        foreach (var policy in new PolicyCatalog([]).Names)
        {
            // To have it compiled: a small service is built as a whole, a large one is not.
            Measure(Small, policy, changes);
            Measure(Large, policy, changes);
            var (time, bytes) = Measure(Large, policy, changes);
            var (smallTime, smallBytes) = Measure(Small, policy, changes);
            report.AddRatioAtMost("onechange", string.Create(CultureInfo.InvariantCulture, $"{policy}, one of {Large:N0}"), "µs", time, smallTime, MostOfSmall);
            report.AddRatioAtMost("onechange", "  allocated", "B", bytes, smallBytes, MostOfSmall);
        }

        return Task.CompletedTask;
    }

    /// <returns>The processor time of a change, and the bytes that it allocates.</returns>
    public static (double Microseconds, double Bytes) Measure(int size, string policy, int changes)
    {
        using var service = new ServiceOfSize(size, policy);
        Change(service, size, changes: 4);
        var (cpu, bytes) = (Environment.CpuUsage.TotalTime, GC.GetAllocatedBytesForCurrentThread());
        Change(service, size, changes);
        return ((Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds / changes, (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / changes);
    }

    private static void Change(ServiceOfSize service, int size, int changes)
    {
        for (var i = 0; i < changes; i++)
        {
            service.Change(i / 2 % size, isDraining: i % 2 == 0);
        }
    }
}
