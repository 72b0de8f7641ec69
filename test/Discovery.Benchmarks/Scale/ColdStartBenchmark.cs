using System.Diagnostics;
using System.Globalization;
using Discovery.Benchmarks.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Scale;

/// <summary>
/// <c>coldstart</c>: from nothing to the first snapshot of 10,000 instances, connecting to etcd included, beside one bare range of the same
/// keys, connecting included too.
/// </summary>
internal static class ColdStartBenchmark
{
    private const double MostOfRange = 1.5;
    private const double MostMilliseconds = 100;
    private const int Instances = 10_000;
    private const int Services = 1_000;

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        using var writer = new RawEtcd(etcd.Endpoint);
        string[] one = ["one"];
        string[] many = [.. Enumerable.Range(0, Services).Select(static i => string.Create(CultureInfo.InvariantCulture, $"many-{i:0000}"))];
        await FillAsync(writer, one, Instances);
        await FillAsync(writer, many, Instances);
        var rounds = isQuick ? 5 : 25;

        var ofOne = await CompareAsync(etcd.Endpoint, one, Records.PrefixOf("one"), Instances, rounds);
        report.AddRatioAtMost("coldstart", "10,000 instances in one service", "ms", ofOne.Ours.Milliseconds, ofOne.Range.Milliseconds, MostOfRange);
        report.AddValue("coldstart", "  by itself", "ms", ofOne.Ours.Milliseconds, MostMilliseconds);
        report.AddRatioAtMost("coldstart", "  processor time", "ms", ofOne.Ours.CpuMilliseconds, ofOne.Range.CpuMilliseconds, null);
        var ofMany = await CompareAsync(etcd.Endpoint, many, Records.Root + "many-", Instances, rounds);
        report.AddRatioAtMost("coldstart", "10,000 in 1,000 services", "ms", ofMany.Ours.Milliseconds, ofMany.Range.Milliseconds, MostOfRange);
        report.AddRatioAtMost("coldstart", "  processor time", "ms", ofMany.Ours.CpuMilliseconds, ofMany.Range.CpuMilliseconds, null);
    }

    /// <summary>For each size the milliseconds until the first snapshot, and those of one bare range.</summary>
    public static async Task<List<(double Ours, double Range)>> MeasureAsync(IEnumerable<int> sizes)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        using var writer = new RawEtcd(etcd.Endpoint);
        var results = new List<(double Ours, double Range)>();
        foreach (var size in sizes)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"of-{size}");
            await FillAsync(writer, [name], size);
            var (ours, range) = await CompareAsync(etcd.Endpoint, [name], Records.PrefixOf(name), size, rounds: 9);
            results.Add((ours.Milliseconds, range.Milliseconds));
        }

        return results;
    }

    private static Task FillAsync(RawEtcd writer, string[] services, int instances)
        => writer.PutAllAsync(Enumerable.Range(0, instances).Select(i =>
        {
            var (service, address) = (services[i % services.Length], Records.AddressOf(i));
            return (Records.KeyOf(service, address), Records.ValueOf(service, address));
        }));

    private static async Task<(Cost Ours, Cost Range)> CompareAsync(string etcd, string[] services, string prefix, int instances, int rounds)
    {
        Func<Task>[] contenders = [() => StartOursAsync(etcd, services, instances), () => ListAsync(etcd, prefix, instances)];
        var results = await Turns.RunAsync(contenders, warmUps: 3, rounds, static async contender =>
        {
            // Neither pays for what the turn before left behind.
            GC.Collect();
            var cpu = Environment.CpuUsage.TotalTime;
            var started = Stopwatch.GetTimestamp();
            await contender();
            return [Stopwatch.GetElapsedTime(started).TotalMilliseconds, (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds];
        });
        return (new Cost(results[0][0], results[0][1]), new Cost(results[1][0], results[1][1]));
    }

    private static async Task StartOursAsync(string etcd, string[] services, int instances)
    {
        var collection = BenchServices.Create(("Etcd:Endpoints", etcd));
        collection.AddEtcdDiscovery();
        var provider = collection.BuildServiceProvider();
        var directory = provider.GetRequiredService<IServiceDirectory>();
        var snapshots = await Task.WhenAll(services.Select(s => directory.WaitForReadyAsync(s).AsTask()));
        Check(snapshots.Sum(static s => s.Instances.Count), instances);

        // In the background: a cold start ends with the snapshot.
        _ = provider.DisposeAsync().AsTask();
    }

    private static async Task ListAsync(string etcd, string prefix, int instances)
    {
        using var raw = new RawEtcd(etcd);
        Check((await raw.ListAsync(prefix)).Kvs.Count, instances);
    }

    private sealed record Cost(double Milliseconds, double CpuMilliseconds);

    private static void Check(int count, int expected)
    {
        if (count != expected)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"There were {count} instances, not {expected}."));
        }
    }
}
