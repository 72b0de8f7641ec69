using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks;

/// <summary>
/// <c>rebuilds [INSTANCES]</c>: what a rolling restart of all instances of a service costs a client: ten are restarted each second, so in each
/// 100 ms one drains, another leaves and a third joins.
/// </summary>
internal static class RebuildsCommand
{
    private static readonly (string Policy, double Seconds)[] Targets = [("LeastLoad", 0.5), ("RoundRobin", 0.5), ("ConsistentHash", 3)];

    public static int Run(string[] args)
    {
        var count = args.Length == 0 ? 1000 : int.Parse(args[0], CultureInfo.InvariantCulture);
        Console.WriteLine($"A rolling restart of {count} instances: {3 * count} changes.");
        Console.WriteLine($"{"policy",-16} {"zone",-5} {"CPU s",8} {"allocated MB",13} {"wanted s",9}");
        var allMet = true;
        foreach (var (policy, seconds) in Targets)
        {
            foreach (var zone in new[] { null, "a" })
            {
                // Once to have it compiled.
                Restart(policy, zone, count);
                var (cpu, bytes) = Restart(policy, zone, count);
                var wanted = seconds * count / 1000;
                allMet &= cpu <= wanted;
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"{policy,-16} {zone ?? "-",-5} {cpu,8:F2} {bytes / 1e6,13:F0} {wanted,9:F2} {(cpu <= wanted ? "met" : "MISSED")}"));
            }
        }

        return allMet ? 0 : 1;
    }

    private static (double CpuSeconds, long Bytes) Restart(string policy, string? zone, int count)
    {
        var clock = new FakeTimeProvider();
        var service = new Service();
        var options = new EtcdDiscoveryOptions { Policy = policy, Zone = zone };
        var records = Enumerable.Range(0, count).Select(i => Record(i, version: 0)).ToImmutableDictionary(static r => r.Address, StringComparer.Ordinal);
        service.Publish(records);
        var filter = new AddressFilter(options);
        using var pool = new ServicePool(
            "bench",
            options,
            service,
            new PolicyCatalog([]).Get(policy, "Policy"),
            filter,
            new TransportFactory(options, filter, [], clock, NullLogger.Instance, meters: null),
            clock,
            NullLogger.Instance,
            clock);
        var needs = new CallNeeds("http", InstanceProtocols.Http2, Version: null);
        var before = Process.GetCurrentProcess().TotalProcessorTime;
        var allocated = GC.GetTotalAllocatedBytes();
        for (var i = 0; i < count; i++)
        {
            service.Publish(records = records.SetItem(Record(i, 0).Address, Record(i, version: 0) with { IsDraining = true }));
            service.Publish(records = i < 1 ? records : records.Remove(Record(i - 1, 0).Address));
            var last = service.Publish(records = i < 2 ? records : records.SetItem(Record(i - 2, 0).Address, Record(i - 2, version: 1)));
            while (pool.Current!.Snapshot != last)
            {
                // The first change is built at once, the others when they were collected.
                clock.Advance(TimeSpan.FromMilliseconds(100));
                Thread.Sleep(1);
            }

            _ = pool.Current.For(needs, hashKey: null)!.Pick(new PickArguments { HashKey = "key" });
        }

        return ((Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds, GC.GetTotalAllocatedBytes() - allocated);
    }

    private static ServiceInstance Record(int number, int version) => new()
    {
        Key = $"bench/{number}",
        ServiceName = "bench",
        Host = $"10.0.{number / 250}.{(number % 250) + 1}",
        Port = 5000,
        InstanceId = $"{number}-{version}",
        Zone = "abc"[number % 3].ToString(),
    };

    private sealed class Service : IWatchedService
    {
        public SnapshotFeed Feed { get; } = new();

        public ServiceStatus Status { get; } = new() { ServiceName = "bench", Prefix = "bench/", IsReady = true, IsConnected = true, Revision = 1 };

        public ServiceSnapshot Publish(ImmutableDictionary<string, ServiceInstance> records)
        {
            var snapshot = new ServiceSnapshot("bench", records, ImmutableDictionary<string, ServiceInstance>.Empty);
            Feed.Publish(snapshot);
            return snapshot;
        }

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken) => new(Feed.Current!);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
