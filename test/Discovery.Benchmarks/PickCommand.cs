using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore.LoadBalancing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks;

/// <summary>
/// <c>pick [ENDPOINTS...]</c>: what choosing an endpoint costs on one core, alone and with the accounting of a call around it.
/// </summary>
internal static class PickCommand
{
    private const int Rounds = 15;
    private const int PicksPerRound = 1_000_000;

    public static int Run(string[] args)
    {
        int[] sizes = args.Length == 0 ? [3, 20, 1000] : [.. args.Select(a => int.Parse(a, CultureInfo.InvariantCulture))];
        var policies = new LoadBalancingPolicies([]);
        Console.WriteLine($"Best of {Rounds} rounds of {PicksPerRound:N0}; system clock; 'full cycle' is pick, start, headers, end.");
        Console.WriteLine($"{"policy",-20} {"endpoints",9} {"pick ns",9} {"full cycle ns",14} {"B per cycle",12}");
        foreach (var size in sizes)
        {
            foreach (var name in policies.Names)
            {
                var context = new BalancingContext(TimeProvider.System, new BalancingOptions(), NullLogger.Instance);
                var balancer = BalancerBuilder.Build(Endpoints(size, context), context, policies.Get(name, "Policy"));
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

    private static ServiceEndpoint[] Endpoints(int count, BalancingContext context)
        => [.. Enumerable.Range(0, count).Select(i => new ServiceEndpoint(
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
        var context = new PickContext("a-key");
        ServiceEndpoint? last = null;
        for (var i = 0; i < PicksPerRound; i++)
        {
            last = balancer.Pick(context);
        }

        GC.KeepAlive(last);
    }

    private static void FullCycle(Balancer balancer)
    {
        var context = new PickContext("a-key");
        for (var i = 0; i < PicksPerRound; i++)
        {
            var endpoint = balancer.Pick(context)!;
            var call = endpoint.OnHeaders(endpoint.OnCallStarted());
            endpoint.OnCallEnded(call, CallOutcome.Success);
        }
    }
}
