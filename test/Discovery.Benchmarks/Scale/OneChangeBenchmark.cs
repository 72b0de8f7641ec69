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

    /// <summary>Of either: a client of ten that uses all has no subset.</summary>
    private const int Subset = 5;

    public static async Task RunAsync(Report report, bool isQuick)
    {
        const int Changes = 1_000;
        var rounds = isQuick ? 5 : 15;
        foreach (var policy in new PolicyCatalog([]).Names)
        {
            await AddAsync(report, policy, rounds, size => Measure(size, policy, Changes));
        }

        var byDefault = new BalancingOptions().Policy;
        await AddAsync(report, $"{byDefault}, subset of {Subset}", rounds, size => Measure(size, byDefault, Changes, Subset));
        await AddAsync(report, $"{byDefault}, ejected and back", rounds, size => MeasureEjections(size, byDefault, Changes));
    }

    /// <returns>The processor time of a change, and the bytes that it allocates.</returns>
    public static (double Microseconds, double Bytes) Measure(int size, string policy, int changes, int subset = 0)
    {
        using var service = new ServiceOfSize(size, policy, subset);
        return Measure(count => Change(service, size, count), changes);
    }

    /// <returns>The same of an ejection and its end.</returns>
    private static (double Microseconds, double Bytes) MeasureEjections(int size, string policy, int changes)
    {
        using var service = new ServiceOfSize(size, policy);
        return Measure(count => Eject(service, size, count), changes);
    }

    private static (double Microseconds, double Bytes) Measure(Action<int> change, int changes)
    {
        change(4);
        var (cpu, bytes) = (Environment.CpuUsage.TotalTime, GC.GetAllocatedBytesForCurrentThread());
        change(changes);
        return ((Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds / changes, (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / changes);
    }

    private static async Task AddAsync(Report report, string what, int rounds, Func<int, (double Microseconds, double Bytes)> measure)
    {
        // The first turns are to have it compiled: a small service is built as a whole, a large one is not.
        var results = await Turns.RunAsync([Large, Small], warmUps: 2, rounds, size =>
        {
            var (time, bytes) = measure(size);
            return Task.FromResult<double[]>([time, bytes]);
        });
        report.AddRatioAtMost("onechange", string.Create(CultureInfo.InvariantCulture, $"{what}, one of {Large:N0}"), "µs", results[0][0], results[1][0], MostOfSmall);
        report.AddRatioAtMost("onechange", "  allocated", "B", results[0][1], results[1][1], MostOfSmall);
    }

    private static void Change(ServiceOfSize service, int size, int changes)
    {
        for (var i = 0; i < changes; i++)
        {
            service.Change(i / 2 % size, isDraining: i % 2 == 0);
        }
    }

    private static void Eject(ServiceOfSize service, int size, int ejections)
    {
        for (var i = 0; i < ejections; i++)
        {
            service.Eject(i % size);
        }
    }
}
