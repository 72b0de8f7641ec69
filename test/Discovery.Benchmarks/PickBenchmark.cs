using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks;

/// <summary>
/// <c>pick</c>: what choosing an instance costs on one core, beside the least that any choice in turn can cost: one atomic increment and one
/// read of an array.
/// </summary>
internal static class PickBenchmark
{
    private static readonly int[] Sizes = [3, 100, 10_000];

    public static Task RunAsync(Report report, bool isQuick)
    {
        var picks = isQuick ? 200_000 : 1_000_000;
        var rounds = isQuick ? 7 : 15;
        var policies = new PolicyCatalog([]);
        foreach (var size in Sizes)
        {
            foreach (var name in policies.Names)
            {
                var context = new InstanceContext(TimeProvider.System, new BalancingOptions(), NullLogger.Instance);
                var instances = Instances(size, context);
                var balancer = BalancerBuilder.Build(instances, context, policies.Get(name, "Policy"));
                var floor = new Floor(instances);
                WarmUp(balancer, Math.Max(picks, 20 * size));
                var (pick, least) = (double.MaxValue, double.MaxValue);
                for (var round = 0; round < rounds; round++)
                {
                    least = Math.Min(least, Time(() => floor.Pick(picks), picks));
                    pick = Math.Min(pick, Time(() => Pick(balancer, picks), picks));
                }

                var before = GC.GetAllocatedBytesForCurrentThread();
                Pick(balancer, picks);
                var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                var what = string.Create(CultureInfo.InvariantCulture, $"{name}, {size:N0} instances");
                report.AddRatioAtMost("pick", what, "ns", pick, least, null);
                report.AddValue("pick", "  allocated", "B", Math.Round((double)allocated / picks, 3), 0);
            }
        }

        Report.Note("The floor is the reference: an atomic increment and a read. Only round robin could be that; the others look at several instances.");
        return Task.CompletedTask;
    }

    private static InstanceState[] Instances(int count, InstanceContext context)
        => [.. Enumerable.Range(0, count).Select(i => new InstanceState(
            new ServiceInstance { Key = $"bench/{i}", ServiceName = "bench", Host = "10.0.0.1", Port = i + 1 }, context))];

    private static double Time(Action round, int picks)
    {
        var start = Stopwatch.GetTimestamp();
        round();
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / picks;
    }

    private static void Pick(Balancer balancer, int picks)
    {
        var arguments = new PickArguments { HashKey = "a-key" };
        InstanceState? last = null;
        for (var i = 0; i < picks; i++)
        {
            last = balancer.Pick(arguments);
        }

        GC.KeepAlive(last);
    }

    /// <summary>Calls, so that there is something to choose by.</summary>
    private static void WarmUp(Balancer balancer, int calls)
    {
        var arguments = new PickArguments { HashKey = "a-key" };
        for (var i = 0; i < calls; i++)
        {
            var instance = balancer.Pick(arguments)!;
            instance.OnCallEnded(instance.OnHeaders(instance.OnCallStarted()), CallOutcome.Success);
        }
    }

    private sealed class Floor(InstanceState[] instances)
    {
        private int _next;

        public void Pick(int picks)
        {
            InstanceState? last = null;
            for (var i = 0; i < picks; i++)
            {
                last = instances[(int)((uint)Interlocked.Increment(ref _next) % (uint)instances.Length)];
            }

            GC.KeepAlive(last);
        }
    }
}
