using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Balancing.Policies;

/// <summary>Streams, uploads and polls: they are spread, and take nobody's share of the calls that come and go.</summary>
public sealed class LastingCallsTests
{
    [Theory]
    [InlineData(2, 1, true)]
    [InlineData(3, 1, true)]
    [InlineData(3, 1, false)]
    [InlineData(3, 40, true)]
    [InlineData(3, 2, false)]
    [InlineData(12, 3, true)]
    public void An_instance_with_streams_keeps_its_share_of_other_calls(int instances, int streams, bool haveHeaders)
    {
        var rig = new BalancingRig(instances);
        var balancer = rig.Build("LeastLoad");
        Calls(rig, balancer, TimeSpan.FromSeconds(1));
        for (var i = 0; i < streams; i++)
        {
            var call = rig[0].OnCallStarted();
            _ = haveHeaders ? rig[0].OnHeaders(call) : call;
        }

        // Without headers and without calls that overtake them they look like calls of one that hangs, at first.
        Calls(rig, balancer, TimeSpan.FromSeconds(10));
        AssertShares(Calls(rig, balancer, TimeSpan.FromSeconds(10 * instances)));
    }

    /// <summary>As after a rolling restart of a service that its clients are subscribed to.</summary>
    [Fact]
    public void One_that_joins_without_streams_does_not_get_all_other_calls()
    {
        var rig = new BalancingRig(2, static o => o.SlowStart = TimeSpan.Zero);
        for (var i = 0; i < 80; i++)
        {
            rig[i % 2].OnHeaders(rig[i % 2].OnCallStarted());
        }

        Calls(rig, rig.Build("LeastLoad"), TimeSpan.FromSeconds(3));
        rig.Join();
        var balancer = rig.Build("LeastLoad");
        Calls(rig, balancer, TimeSpan.FromSeconds(1));

        AssertShares(Calls(rig, balancer, TimeSpan.FromSeconds(10), atOnce: 8));
    }

    [Theory]
    [InlineData(50)]
    [InlineData(2000)]
    public void Streams_are_spread_however_slowly_they_come(int millisecondsBetween)
    {
        var rig = new BalancingRig(3);
        var balancer = rig.Build("LeastLoad");
        for (var i = 0; i < 600; i++)
        {
            var instance = balancer.Pick(default)!;
            var call = instance.OnCallStarted();
            rig.Clock.Advance(TimeSpan.FromMilliseconds(5));
            instance.OnHeaders(call);
            rig.Clock.Advance(TimeSpan.FromMilliseconds(millisecondsBetween - 5));
        }

        // By chance they would differ by some 25.
        Assert.InRange(rig.Instances.Max(static i => i.InFlight) - rig.Instances.Min(static i => i.InFlight), 0, 15);
    }

    [Fact]
    public void One_long_answer_among_short_ones_makes_nobody_slow()
    {
        var rig = new BalancingRig(2);
        var balancer = rig.Build("LeastLoad");
        Calls(rig, balancer, TimeSpan.FromSeconds(10));

        rig.Call(rig[0], 5000);
        rig.Call(rig[1], 2);

        AssertShares(rig.Count(balancer, 200));
    }

    [Fact]
    public void What_is_always_slow_is_found_out_all_the_same()
    {
        var rig = new BalancingRig(3);
        var balancer = rig.Build("LeastLoad");
        var slow = 0;
        for (var i = 0; i < 1000; i++)
        {
            var instance = balancer.Pick(default)!;
            rig.Call(instance, instance == rig[0] ? 500 : 2);
            rig.Clock.Advance(TimeSpan.FromMilliseconds(20));
            slow += instance == rig[0] && i >= 100 ? 1 : 0;
        }

        Assert.InRange(slow, 0, 30);
    }

    [Fact]
    public void The_count_is_right_again_after_calls_that_end_at_any_moment()
    {
        var rig = new BalancingRig(1);
        var context = rig[0].Context;
        var random = new Random(RandomSeed.From("DISCOVERY_RANDOM_SEED"));
        var lasting = default(LastingCalls);
        var calls = new List<long>();
        for (var i = 0; i < 5000; i++)
        {
            rig.Clock.Advance(TimeSpan.FromMilliseconds(random.Next(40)));
            var now = rig.Clock.GetTimestamp();
            if (calls.Count == 0 || random.Next(2) == 0)
            {
                lasting.Advance(now, calls.Count, context.LastingPeriod);
                calls.Add(now);
            }
            else
            {
                var index = random.Next(calls.Count);
                lasting.OnEnded(calls[index]);
                calls.RemoveAt(index);
            }
        }

        // As where a call ends between the count and its own.
        lasting.OnEnded(0);
        for (var i = 0; i < 3; i++)
        {
            rig.Clock.Advance(TimeSpan.FromSeconds(1));
            lasting.Advance(rig.Clock.GetTimestamp(), calls.Count, context.LastingPeriod);
        }

        Assert.Equal(calls.Count, lasting.Count);
    }

    /// <summary>Calls of 2 ms each: one every 50 ms, or several at once for as long.</summary>
    private static int[] Calls(BalancingRig rig, Balancer balancer, TimeSpan time, int atOnce = 1)
    {
        var counts = new int[rig.Instances.Count];
        var end = rig.Clock.GetUtcNow() + time;
        while (rig.Clock.GetUtcNow() < end)
        {
            var calls = Enumerable.Range(0, atOnce).Select(_ => balancer.Pick(default)!).Select(static i => (Instance: i, Call: i.OnCallStarted())).ToList();
            rig.Clock.Advance(TimeSpan.FromMilliseconds(2));
            foreach (var (instance, call) in calls)
            {
                instance.OnCallEnded(instance.OnHeaders(call), CallOutcome.Success);
                counts[rig.Instances.IndexOf(instance)]++;
            }

            rig.Clock.Advance(TimeSpan.FromMilliseconds(atOnce == 1 ? 48 : 1));
        }

        return counts;
    }

    private static void AssertShares(int[] counts)
        => Assert.True(counts.Min() >= 0.6 * counts.Average(), string.Join(", ", counts));
}
