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
        var report = new Report();
        Measure(report, args.Length == 0 ? 1000 : int.Parse(args[0], CultureInfo.InvariantCulture));
        return report.AllMet ? 0 : 1;
    }

    public static Task RunAsync(Report report, bool isQuick)
    {
        Measure(report, isQuick ? 200 : 1000);
        return Task.CompletedTask;
    }

    private static void Measure(Report report, int count)
    {
        // To have it compiled. The compiler improves on what was called often a while later, and its work counts as ours.
        foreach (var (policy, _) in Targets)
        {
            Restart(policy, zone: "a", count);
            Restart(policy, zone: null, count);
        }

        Thread.Sleep(TimeSpan.FromSeconds(2));
        foreach (var (policy, seconds) in Targets)
        {
            foreach (var zone in new[] { null, "a" })
            {
                var (cpu, bytes, rebuilds) = Restart(policy, zone, count);
                var what = string.Create(CultureInfo.InvariantCulture, $"{policy}{(zone is null ? "" : ", zone")}, {count:N0} restarted, {3 * count:N0} changes");

                // The goals are for a thousand.
                report.AddValue("rebuilds", what, "ms", cpu * 1000, seconds * count);
                report.AddValue("rebuilds", "  allocated", "MB", bytes / 1e6, null);
                report.AddValue("rebuilds", "  rebuilds", "", rebuilds, null);
            }
        }

        Idle(count);
        var idle = Idle(count);
        report.AddValue("rebuilds", "10 idle services in a zone, a minute", "ms", idle.CpuSeconds * 1000, null);
        report.AddValue("rebuilds", "  rebuilt", "", idle.Rebuilds, 0);
    }

    private static (double CpuSeconds, long Bytes, int Rebuilds) Restart(string policy, string? zone, int count)
    {
        var clock = new FakeTimeProvider();
        var service = new Service();
        var records = Enumerable.Range(0, count).Select(i => Record(i, version: 0)).ToImmutableDictionary(static r => r.Address, StringComparer.Ordinal);
        service.Publish(records);
        using var pool = Pool(policy, zone, service, clock);
        var needs = new CallNeeds("http", InstanceProtocols.Http2, Version: null);
        var before = Process.GetCurrentProcess().TotalProcessorTime;
        var allocated = GC.GetTotalAllocatedBytes();
        var rebuilds = 0;
        var seen = pool.Current;
        for (var i = 0; i < count; i++)
        {
            service.Publish(records = records.SetItem(Record(i, 0).Address, Record(i, version: 0) with { IsDraining = true }), Record(i, 0).Address);
            if (i >= 1)
            {
                service.Publish(records = records.Remove(Record(i - 1, 0).Address), Record(i - 1, 0).Address);
            }

            if (i >= 2)
            {
                service.Publish(records = records.SetItem(Record(i - 2, 0).Address, Record(i - 2, version: 1)), Record(i - 2, 0).Address);
            }

            clock.Advance(TimeSpan.FromMilliseconds(100));
            _ = pool.Current!.For(needs, hashKey: null)!.Pick(new PickArguments { HashKey = "key" });
            if (pool.Current != seen)
            {
                seen = pool.Current;
                rebuilds++;
            }
        }

        return ((Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds, GC.GetTotalAllocatedBytes() - allocated, rebuilds);
    }

    /// <summary>What a minute costs a client of ten services, in a zone, that calls none of them.</summary>
    private static (double CpuSeconds, int Rebuilds) Idle(int count)
    {
        var clock = new FakeTimeProvider();
        var records = Enumerable.Range(0, count).Select(i => Record(i, version: 0)).ToImmutableDictionary(static r => r.Address, StringComparer.Ordinal);
        var pools = Enumerable.Range(0, 10).Select(_ =>
        {
            var service = new Service();
            service.Publish(records);
            return Pool("LeastLoad", "a", service, clock);
        }).ToList();
        var started = pools.ConvertAll(static p => p.Current);
        var before = Process.GetCurrentProcess().TotalProcessorTime;
        for (var i = 0; i < 60; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        var cpu = (Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds;
        var rebuilds = pools.Where((p, i) => p.Current != started[i]).Count();
        pools.ForEach(static p => p.Dispose());
        return (cpu, rebuilds);
    }

    private static ServicePool Pool(string policy, string? zone, Service service, FakeTimeProvider clock)
    {
        var options = new EtcdDiscoveryOptions { Policy = policy, Zone = zone };
        var filter = new AddressFilter(options);
        return new ServicePool(
            "bench",
            options,
            service,
            new PolicyCatalog([]).Get(policy, "Policy"),
            filter,
            new TransportFactory(options, filter, [], clock, NullLogger.Instance, meters: null),
            clock,
            NullLogger.Instance,
            clock);
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
        private long _id;

        public SnapshotFeed Feed { get; } = new();

        public ServiceStatus Status { get; } = new() { ServiceName = "bench", Prefix = "bench/", IsReady = true, IsConnected = true, Revision = 1 };

        /// <summary>Publishes a snapshot, and what it has changed, as the directory does.</summary>
        public void Publish(ImmutableDictionary<string, ServiceInstance> records, params string[] changed)
            => Feed.Publish(new ServiceSnapshot("bench", records, ImmutableDictionary<string, ServiceInstance>.Empty)
            {
                Id = ++_id,
                Change = _id == 1 ? null : new SnapshotChange(_id - 1, changed),
            });

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken) => new(Feed.Current!);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
