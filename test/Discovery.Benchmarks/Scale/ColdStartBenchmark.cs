using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
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
        Add(report, "10,000 instances in one service", ofOne);
        report.AddValue("coldstart", "  by itself", "ms", ofOne.Ours.Milliseconds, MostMilliseconds);
        var ofMany = await CompareAsync(etcd.Endpoint, many, Records.Root + "many-", Instances, rounds);
        Add(report, "10,000 in 1,000 services", ofMany);
        report.AddValue("coldstart", "  by itself", "ms", ofMany.Ours.Milliseconds, MostMilliseconds);
    }

    private static void Add(Report report, string what, Costs costs)
    {
        report.AddRatioAtMost("coldstart", what, "ms", costs.Ours.Milliseconds, costs.Range.Milliseconds, MostOfRange);
        report.AddRatioAtMost("coldstart", "  processor time", "ms", costs.Ours.CpuMilliseconds, costs.Range.CpuMilliseconds, null);
        report.AddRatioAtMost("coldstart", "  by a range and reading its JSON", "ms", costs.Ours.Milliseconds, costs.Read.Milliseconds, null);
        report.AddRatioAtMost("coldstart", "    processor time", "ms", costs.Ours.CpuMilliseconds, costs.Read.CpuMilliseconds, null);
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
            var costs = await CompareAsync(etcd.Endpoint, [name], Records.PrefixOf(name), size, rounds: 9);
            results.Add((costs.Ours.Milliseconds, costs.Range.Milliseconds));
        }

        return results;
    }

    private static Task FillAsync(RawEtcd writer, string[] services, int instances)
        => writer.PutAllAsync(Enumerable.Range(0, instances).Select(i =>
        {
            var (service, address) = (services[i % services.Length], Records.AddressOf(i));
            return (Records.KeyOf(service, address), Records.ValueOf(service, address));
        }));

    private static async Task<Costs> CompareAsync(string etcd, string[] services, string prefix, int instances, int rounds)
    {
        Func<Task>[] contenders =
        [
            () => StartOursAsync(etcd, services, instances), () => ListAsync(etcd, prefix, instances), () => ReadAsync(etcd, prefix, instances),
        ];
        var results = await Turns.RunAsync(contenders, warmUps: 3, rounds, static async contender =>
        {
            // Neither pays for what the turn before left behind.
            GC.Collect();
            var cpu = Environment.CpuUsage.TotalTime;
            var started = Stopwatch.GetTimestamp();
            await contender();
            return [Stopwatch.GetElapsedTime(started).TotalMilliseconds, (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds];
        });
        return new Costs(CostOf(results[0]), CostOf(results[1]), CostOf(results[2]));

        static Cost CostOf(double[] measured) => new(measured[0], measured[1]);
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

    /// <summary>
    /// The least that a range takes somebody who knows the instances afterwards: each record is read by System.Text.Json, in turn, and lies in a
    /// dictionary.
    /// </summary>
    private static async Task ReadAsync(string etcd, string prefix, int instances)
    {
        using var raw = new RawEtcd(etcd);
        var known = new Dictionary<string, (string Address, Dictionary<string, string> Metadata)>(StringComparer.Ordinal);
        foreach (var record in (await raw.ListAsync(prefix)).Kvs)
        {
            var fields = JsonSerializer.Deserialize(record.Value.Span, RecordJson.Default.RecordFields)!;
            known.Add(record.Key.ToStringUtf8(), (fields.Addr, JsonSerializer.Deserialize(fields.Metadata, RecordJson.Default.DictionaryStringString)!));
        }

        Check(known.Count, instances);
    }

    /// <param name="Ours">Of a start of ours.</param>
    /// <param name="Range">Of one bare range.</param>
    /// <param name="Read">Of one whose records are read.</param>
    private sealed record Costs(Cost Ours, Cost Range, Cost Read);

    private sealed record Cost(double Milliseconds, double CpuMilliseconds);

    private static void Check(int count, int expected)
    {
        if (count != expected)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"There were {count} instances, not {expected}."));
        }
    }
}

/// <summary>A record as etcd's naming resolver writes it.</summary>
internal sealed record RecordFields(string Addr, string Metadata);

[JsonSerializable(typeof(RecordFields))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class RecordJson : JsonSerializerContext;
