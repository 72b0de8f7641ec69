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
    private const double MostNanoseconds = 20;
    private const double MostNanosecondsOfCycle = 120;

    /// <summary>
    /// Of what the machine itself gives: two virtual processors may be one core. The random numbers that are compared with touch no memory.
    /// </summary>
    private const double LeastOfTwoThreads = 0.8;

    /// <summary>What flat in size comes to where the instances no longer fit the nearest caches.</summary>
    private const double MostOfHundred = 2;

    /// <summary>So few picks that nothing interrupts either thread meanwhile.</summary>
    private const int PicksOfPart = 2_000;

    /// <summary>How many calls the other thread makes meanwhile at least, if it runs.</summary>
    private const int LeastCallsOfPart = 100;

    private const int PartsOfTurn = 50;

    private static readonly TimeSpan OftenEnough = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestTurn = TimeSpan.FromSeconds(1);

    private static readonly int[] Sizes = [3, 100, 10_000];
    private static readonly PolicyCatalog Policies = new([]);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        var picks = isQuick ? 200_000 : 1_000_000;
        var rounds = isQuick ? 7 : 15;
        await WarmUpAsync(picks);
        var ofHundred = double.NaN;
        var (oneAlone, twoAlone) = await MeasureThreadsAsync(() => DrawRandom(10 * picks), picks, rounds);
        var ofMachine = twoAlone / oneAlone;
        foreach (var size in Sizes)
        {
            foreach (var name in Policies.Names)
            {
                var what = string.Create(CultureInfo.InvariantCulture, $"{name}, {size:N0} instances");
                var (balancer, floor) = Create(size, name, picks);
                var (pick, least) = Measure(() => Pick(balancer, picks), () => floor.Pick(picks), picks, rounds);
                report.AddRatioAtMost("pick", what, "ns", pick, least, null);
                report.AddValue("pick", "  allocated", "B", BytesOf(() => Pick(balancer, picks), picks), 0);
                if (name == new BalancingOptions().Policy)
                {
                    report.AddValue("pick", "  the default policy", "ns", pick, MostNanoseconds);
                    if (size > 5)
                    {
                        var five = Measure(() => floor.PickOfFive(picks), () => floor.Pick(picks), picks, rounds).Ours;
                        report.AddRatioAtMost("pick", "  by the fewest calls among five", "ns", pick, five, null);
                    }

                    var cycle = Measure(() => Call(balancer, picks), () => floor.Pick(picks), picks, rounds);
                    report.AddValue("pick", "  picked, begun and ended with latency", "ns", cycle.Ours, MostNanosecondsOfCycle);
                    report.AddRatioAtMost("pick", "    by the floor", "ns", cycle.Ours, cycle.Floor, null);
                    report.AddValue("pick", "    allocated", "B", BytesOf(() => Call(balancer, picks), picks), 0);
                    var (one, two) = await MeasureThreadsAsync(() => Pick(balancer, picks), picks, rounds);
                    report.AddRatioAtLeast("pick", "  two threads, by one", "/µs", two, one, null);
                    report.AddRatioAtLeast("pick", "    by what two threads gain that share nothing", "", two / one, ofMachine, LeastOfTwoThreads);
                    var beside = await MeasureBesideAsync(balancer, rounds);
                    report.AddRatioAtMost("pick", "  while another thread calls them", "ns", beside[1], beside[0], null);
                    report.AddRatioAtMost("pick", "    others of the same service", "ns", beside[2], beside[0], null);
                    if (size == Sizes[1])
                    {
                        ofHundred = pick;
                    }
                    else if (size > Sizes[1])
                    {
                        report.AddRatioAtMost("pick", "  by that of 100 instances", "ns", pick, ofHundred, MostOfHundred);
                    }
                }
            }
        }

        Report.Note("The floor is the reference: an atomic increment and a read. Only round robin could be that. To compare five at random, and go by nothing but their");
        Report.Note("calls in flight, is the floor of LeastLoad. While another thread begins and ends calls all the time: beside the same with calls of another service, which");
        Report.Note("share nothing. Picks read what calls of the same instances write; with those of others of the service they share the clock and the usual latency.");
    }

    /// <returns>What a pick takes, in nanoseconds.</returns>
    public static double Measure(int size, string policy, int picks)
    {
        var (balancer, floor) = Create(size, policy, picks);
        return Measure(() => Pick(balancer, picks), () => floor.Pick(picks), picks, rounds: 7).Ours;
    }

    /// <summary>Picks and pauses have the compiler optimise all policies.</summary>
    public static async Task WarmUpAsync(int picks)
    {
        for (var round = 0; round < 4; round++)
        {
            foreach (var name in Policies.Names)
            {
                var (balancer, floor) = Create(100, name, picks / 4);
                Pick(balancer, picks / 4);
                floor.Pick(picks / 4);
            }

            await Task.Delay(300);
        }
    }

    private static (Balancer Balancer, Floor Floor) Create(int size, string policy, int picks)
    {
        var context = new InstanceContext(TimeProvider.System, new BalancingOptions(), NullLogger.Instance);
        var instances = Instances(size, context);
        var balancer = BalancerBuilder.Build(instances, context, Policies.Get(policy, "Policy"));
        Call(balancer, Math.Max(picks, 20 * size));
        return (balancer, new Floor(instances));
    }

    private static (double Ours, double Floor) Measure(Action ours, Action floor, int picks, int rounds)
    {
        var (pick, least) = (double.MaxValue, double.MaxValue);
        for (var round = 0; round < rounds; round++)
        {
            least = Math.Min(least, Time(floor, picks));
            pick = Math.Min(pick, Time(ours, picks));
        }

        return (pick, least);
    }

    /// <returns>Picks in a microsecond, by one thread and by two.</returns>
    private static async Task<(double One, double Two)> MeasureThreadsAsync(Action round, int picks, int rounds)
    {
        var results = await Turns.RunAsync([1, 2], warmUps: 1, rounds, async threads =>
        {
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, threads).Select(_ => Task.Run(round)));
            return [threads * picks / Stopwatch.GetElapsedTime(started).TotalMicroseconds];
        });
        return (results[0][0], results[1][0]);
    }

    /// <returns>
    /// What a pick takes while another thread calls another service, while it calls the instances of the balancer, and while it calls others of the service.
    /// </returns>
    private static async Task<double[]> MeasureBesideAsync(Balancer balancer, int rounds)
    {
        var count = balancer.InUse.Count;
        IReadOnlyList<InstanceState>[] contenders =
        [
            Instances(count, new InstanceContext(TimeProvider.System, new BalancingOptions(), NullLogger.Instance)),
            balancer.InUse,
            Instances(count, balancer.InUse[0].Context),
        ];

        // The least of all rounds in which both threads ran: whatever else the machine does makes them slower, or has one of them wait.
        var least = contenders.ToDictionary(static c => c, static _ => double.NaN);
        await Turns.RunAsync(contenders, warmUps: 1, rounds, async called =>
        {
            var (calls, isOver) = (0L, false);
            var other = Task.Factory.StartNew(
                () =>
                {
                    for (var i = 0; !Volatile.Read(ref isOver); i++)
                    {
                        Call(called[i % count]);
                        Volatile.Write(ref calls, i);
                    }
                },
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default);
            var (started, calledAt, parts) = (Stopwatch.GetTimestamp(), 0L, 0);
            while (parts < PartsOfTurn && Stopwatch.GetElapsedTime(started) < LongestTurn)
            {
                // What is known of those that were not called for long is brought up to date by each pick, which takes longer.
                if (Stopwatch.GetElapsedTime(calledAt) > OftenEnough)
                {
                    foreach (var instance in balancer.InUse)
                    {
                        Call(instance);
                    }

                    calledAt = Stopwatch.GetTimestamp();
                }

                var before = Volatile.Read(ref calls);
                var time = Time(() => Pick(balancer, PicksOfPart), PicksOfPart);
                if (Volatile.Read(ref calls) - before >= LeastCallsOfPart)
                {
                    least[called] = double.MinNumber(least[called], time);
                    parts++;
                }
            }

            Volatile.Write(ref isOver, true);
            await other;
            return [];
        });
        return [.. contenders.Select(c => least[c])];
    }

    private static void DrawRandom(int count)
    {
        var sum = 0UL;
        for (var i = 0; i < count; i++)
        {
            sum += FastRandom.Next();
        }

        GC.KeepAlive(sum);
    }

    private static double BytesOf(Action round, int picks)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        round();
        return Math.Round((double)(GC.GetAllocatedBytesForCurrentThread() - before) / picks, 3);
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

    /// <summary>Whole calls, as the handler counts them: an instance is picked, and the call begins, has headers and ends.</summary>
    private static void Call(Balancer balancer, int calls)
    {
        var arguments = new PickArguments { HashKey = "a-key" };
        for (var i = 0; i < calls; i++)
        {
            Call(balancer.Pick(arguments)!);
        }
    }

    private static void Call(InstanceState instance) => instance.OnCallEnded(instance.OnHeaders(instance.OnCallStarted()), CallOutcome.Success);

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

        /// <summary>The least that it takes to compare five at random: one number of each is read, and the lowest wins.</summary>
        public void PickOfFive(int picks)
        {
            InstanceState? last = null;
            for (var i = 0; i < picks; i++)
            {
                var random = FastRandom.Next();
                var (a, b, c, d, e) = (At(random, 0), At(random, 1), At(random, 2), At(random, 3), At(random, 4));
                var least = Math.Min(Math.Min(Math.Min(Rank(a, 0), Rank(b, 1)), Math.Min(Rank(c, 2), Rank(d, 3))), Rank(e, 4));
                last = At(random, (int)least & 7);
            }

            GC.KeepAlive(last);
        }

        private InstanceState At(ulong random, int choice) => instances[(int)(((random >> (12 * choice)) & 0xFFFF) * (ulong)instances.Length >> 16)];

        private static long Rank(InstanceState instance, int choice) => ((long)instance.InFlight << 3) | (uint)choice;
    }
}
