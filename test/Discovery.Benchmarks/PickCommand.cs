using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks;

/// <summary>
/// <c>pick [ENDPOINTS...]</c>: what choosing an instance costs on one core, alone and with the accounting of a call around it.
/// </summary>
internal static class PickCommand
{
    private const int Rounds = 15;
    private const int PicksPerRound = 1_000_000;

    public static int Run(string[] args)
    {
        int[] sizes = args.Length == 0 ? [3, 20, 1000] : [.. args.Select(a => int.Parse(a, CultureInfo.InvariantCulture))];
        var policies = new PolicyCatalog([]);
        Console.WriteLine($"Best of {Rounds} rounds of {PicksPerRound:N0}; system clock; 'full cycle' is pick, start, headers, end.");
        Console.WriteLine($"{"policy",-20} {"instances",9} {"pick ns",9} {"full cycle ns",14} {"B per cycle",12}");
        foreach (var size in sizes)
        {
            foreach (var name in policies.Names)
            {
                var context = new InstanceContext(TimeProvider.System, new BalancingOptions(), NullLogger.Instance);
                var balancer = BalancerBuilder.Build(Instances(size, context), context, policies.Get(name, "Policy"));
                FullCycle(balancer);
                var pick = Best(() => PickOnly(balancer));
                var before = GC.GetAllocatedBytesForCurrentThread();
                FullCycle(balancer);
                var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                var cycle = Best(() => FullCycle(balancer));
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"{name,-20} {size,9} {pick,9:F1} {cycle,14:F1} {allocated / PicksPerRound,12}"));
            }
        }

        return 0;
    }

    private static InstanceState[] Instances(int count, InstanceContext context)
        => [.. Enumerable.Range(0, count).Select(i => new InstanceState(
            new ServiceInstance { Key = $"bench/{i}", ServiceName = "bench", Host = "10.0.0.1", Port = i + 1 }, context))];

    private static double Best(Action round)
    {
        var best = double.MaxValue;
        for (var i = 0; i < Rounds; i++)
        {
            var start = Stopwatch.GetTimestamp();
            round();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / PicksPerRound);
        }

        return best;
    }

    private static void PickOnly(Balancer balancer)
    {
        var arguments = new PickArguments { HashKey = "a-key" };
        InstanceState? last = null;
        for (var i = 0; i < PicksPerRound; i++)
        {
            last = balancer.Pick(arguments);
        }

        GC.KeepAlive(last);
    }

    private static void FullCycle(Balancer balancer)
    {
        var arguments = new PickArguments { HashKey = "a-key" };
        for (var i = 0; i < PicksPerRound; i++)
        {
            var instance = balancer.Pick(arguments)!;
            var call = instance.OnHeaders(instance.OnCallStarted());
            instance.OnCallEnded(call, CallOutcome.Success);
        }
    }
}
