using System.Globalization;
using Discovery.EmbeddedEtcd;

namespace Discovery.Benchmarks.Embedded;

/// <summary>
/// What the embedded etcd does per second, with client and server in one process on the machine's cores: puts, puts in transactions,
/// the fan-out to 1,000 watchers, and the memory of a long run. With the URL of another etcd, the same against that one.
/// </summary>
internal static class EmbeddedEtcdBenchmark
{
    private const int Watchers = 1_000;
    private const int TransactionSize = 100;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(5);

    public static int Run(string[] args)
    {
        RunAsync(args).GetAwaiter().GetResult();
        return 0;
    }

    /// <param name="args">The URL of an etcd to measure instead, if any.</param>
    public static async Task RunAsync(string[] args)
    {
        if (args is [var url, ..])
        {
            await MeasureAsync(url);
            return;
        }

        await using (var etcd = await EmbeddedEtcdServer.StartAsync())
        {
            await MeasureAsync(etcd.Endpoint);
        }

        await MemoryAsync();
    }

    private static async Task MeasureAsync(string endpoint)
    {
        using var load = new EtcdLoad(endpoint);
        // Until the hot paths are compiled with what was learned of them.
        await load.PutsAsync(inFlight: 64, WarmUp);
        foreach (var inFlight in (int[])[1, 64, 256])
        {
            Print($"puts, {inFlight} in flight", await load.PutsAsync(inFlight, Duration), "puts");
        }

        Print($"puts in transactions of {TransactionSize}", await load.TransactionsAsync(TransactionSize, inFlight: 16, Duration), "puts");
        Print("gets, 64 in flight", await load.GetsAsync(inFlight: 64, Duration), "gets");
        var (milliseconds, events) = await load.FanOutAsync(Watchers, rounds: 100);
        Print($"one put seen by {Watchers:N0} watchers after", milliseconds, "ms (median)");
        Print($"events to {Watchers:N0} watchers", events, "events/s");
    }

    private static async Task MemoryAsync()
    {
        const int Keys = 1_000;
        const int Retained = 1_000;
        const int Puts = 2_000_000;
        await using var etcd = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { RetainedRevisions = Retained });
        using var load = new EtcdLoad(etcd.Endpoint);
        for (var i = 1; i <= 10; i++)
        {
            await load.FillAsync(Puts / 10, Keys, TransactionSize);
            var bytes = GC.GetTotalMemory(forceFullCollection: true);
            Print($"memory after {i * Puts / 10:N0} puts on {Keys:N0} keys, {Retained:N0} revisions of {TransactionSize} kept", bytes / 1024.0 / 1024.0, "MiB");
        }
    }

    private static void Print(string what, Rate rate, string unit)
    {
        Print(what, rate.PerSecond, unit + "/s");
        Print("", rate.PerCpuSecond, unit + " per second of CPU time, client included");
    }

    private static void Print(string what, double value, string unit)
        => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-72} {value,12:N1} {unit}"));
}
