using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Balancing.Policies;

public class LeastLoadTests
{
    [Fact]
    public void Idle_instances_share_evenly()
    {
        var rig = new BalancingRig(20);

        Assert.All(rig.Count(rig.Build("LeastLoad"), 20_000), c => Assert.InRange(c, 850, 1150));
    }

    /// <summary>Below and above what a pick looks at, with and without a remainder, and in one chunk of a list and in several.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(128)]
    [InlineData(129)]
    [InlineData(259)]
    public void However_many_they_are_idle_instances_share_by_weight(int instances)
    {
        foreach (var heaviest in new[] { 1, 3 })
        {
            var rig = new BalancingRig(instances, shape: (i, s) => s with { Weight = 10 * (1 + (i % heaviest)) });
            var totalWeight = rig.Instances.Sum(static i => i.Weight);
            Learn(rig);

            var counts = rig.Count(rig.Build("LeastLoad"), 1000 * instances);

            Assert.All(rig.Instances.Zip(counts), p => Assert.InRange(p.Second * totalWeight / (1000.0 * instances * p.First.Weight), 0.8, 1.2));
        }
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    [InlineData(5, 1)]
    [InlineData(9, 5)]
    public void The_least_loaded_of_those_looked_at_wins_wherever_it_is(int instances, int idle)
    {
        for (var first = 0; first < instances; first++)
        {
            var rig = new BalancingRig(instances);
            Learn(rig);
            bool IsIdle(int index) => (index - first + instances) % instances < idle;
            foreach (var busy in rig.Instances.Where((_, i) => !IsIdle(i)))
            {
                busy.OnCallStarted();
            }

            // Of nine, five in a row are looked at, and any five have at least one of five idle ones that lie in a row.
            Assert.All(rig.Count(rig.Build("LeastLoad"), 500).Index(), c => Assert.Equal(IsIdle(c.Index), c.Item > 0));
        }
    }

    [Fact]
    public void Fewer_calls_in_flight_win()
    {
        var rig = new BalancingRig(3);
        rig[0].OnCallStarted();
        rig[2].OnCallStarted();

        Assert.Equal([0, 100, 0], rig.Count(rig.Build("LeastLoad"), 100));
    }

    [Fact]
    public void Lower_latency_wins()
    {
        var rig = new BalancingRig(3);
        foreach (var latency in new[] { 1, 0 })
        {
            // The first answer of each does not count.
            rig.Call(rig[0], 100 + latency);
            rig.Call(rig[1], 10 + latency);
            rig.Call(rig[2], 100 + latency);
        }

        Assert.Equal([0, 100, 0], rig.Count(rig.Build("LeastLoad"), 100));
    }

    [Fact]
    public void What_the_first_calls_waited_for_the_connection_is_not_held_against_an_endpoint()
    {
        var rig = new BalancingRig(3);
        rig.Call(rig[0], 200);
        rig.Call(rig[1], 5);
        rig.Call(rig[2], 5);
        for (var i = 0; i < 3; i++)
        {
            rig.Call(rig[i], 5);
        }

        Assert.All(rig.Count(rig.Build("LeastLoad"), 300), count => Assert.InRange(count, 50, 150));
    }

    [Theory]
    [InlineData(0.1, 0.3)]
    [InlineData(1, 4)]
    [InlineData(20, 45)]
    public void Latencies_that_differ_little_are_equal(double low, double high)
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 4; i++)
        {
            rig.Call(rig[0], high);
            rig.Call(rig[1], low);
            rig.Call(rig[2], high);
        }

        Assert.All(rig.Count(rig.Build("LeastLoad"), 300), count => Assert.InRange(count, 70, 130));
    }

    [Theory]
    [InlineData(20)]
    [InlineData(400)]
    public void One_whose_first_answers_were_slow_gets_its_share_within_seconds(int callsPerSecond)
    {
        var rig = new BalancingRig(3);
        var balancer = rig.Build("LeastLoad");
        var start = rig.Clock.GetTimestamp();
        double Seconds() => rig.Clock.GetElapsedTime(start).TotalSeconds;
        var late = new int[3];
        while (Seconds() < 40)
        {
            var instance = balancer.Pick(default)!;
            var isCold = instance == rig[2] && Seconds() < 3;
            rig.Call(instance, isCold ? 800 : 1);
            rig.Clock.Advance(TimeSpan.FromSeconds(1.0 / callsPerSecond));
            late[rig.Instances.IndexOf(instance)] += Seconds() > 20 ? 1 : 0;
        }

        Assert.True(late.Min() >= 0.6 * late.Average(), string.Join(", ", late));
    }

    [Fact]
    public void Twice_the_weight_takes_twice_the_calls_in_flight()
    {
        var rig = new BalancingRig(2, shape: (i, s) => s with { Weight = i == 0 ? 20 : 10 });
        var balancer = rig.Build("LeastLoad");

        for (var i = 0; i < 300; i++)
        {
            balancer.Pick(default)!.OnCallStarted();
        }

        // Loads within a quarter of each other are equal.
        Assert.InRange(rig[0].InFlight, 190, 210);
    }

    [Theory]
    [InlineData(10, 20)]
    [InlineData(1, 10, 10)]
    [InlineData(1, 2, 3, 4, 5, 6, 7, 8, 9, 100)]
    public void Weights_decide_who_gets_calls_that_never_meet(params int[] weights)
    {
        var rig = new BalancingRig(weights.Length, shape: (i, s) => s with { Weight = weights[i] });
        var balancer = rig.Build("LeastLoad");

        var calls = new int[weights.Length];
        for (var i = 0; i < 20_000; i++)
        {
            var instance = balancer.Pick(default)!;
            rig.Call(instance, 1);
            calls[rig.Instances.IndexOf(instance)]++;
        }

        Assert.All(weights.Zip(calls), p => Assert.InRange(p.Second / 20_000.0 * weights.Sum() / p.First, 0.8, 1.25));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(8)]
    public void Weights_decide_with_few_callers_too(int callers)
    {
        var rig = new BalancingRig(3, shape: (i, s) => s with { Weight = i == 0 ? 20 : 10 });
        var balancer = rig.Build("LeastLoad");
        var underWay = new Queue<(InstanceState Instance, CallProgress Call)>();
        var calls = new int[3];
        for (var i = 0; i < 5_000; i++)
        {
            if (underWay.Count == callers)
            {
                var (instance, call) = underWay.Dequeue();
                rig.Clock.Advance(TimeSpan.FromMilliseconds(1));
                instance.OnCallEnded(instance.OnHeaders(call), CallOutcome.Success);
            }

            var next = balancer.Pick(default)!;
            underWay.Enqueue((next, next.OnCallStarted()));
            calls[rig.Instances.IndexOf(next)]++;
        }

        Assert.InRange(calls[0] / 5_000.0, 0.38, 0.6);
        Assert.InRange((double)calls[1] / calls[2], 0.75, 1.33);
    }

    [Fact]
    public void A_quick_failure_is_load_and_not_speed()
    {
        var rig = new BalancingRig(3, o => o.Ejection.Enabled = false);
        rig.Call(rig[0], 10);
        rig.Call(rig[1], 10);
        rig.Call(rig[2], 10);
        rig.Fail(rig[2]);

        var counts = rig.Count(rig.Build("LeastLoad"), 100);

        Assert.Equal(0, counts[2]);
        Assert.True(rig[2].Latency > rig[0].Latency);
    }

    [Fact]
    public void A_caller_that_gave_up_makes_the_instance_slow_at_once()
    {
        var rig = new BalancingRig(2);
        rig.Call(rig[0], 10);
        rig.Call(rig[1], 10);
        rig.Call(rig[1], 1000, CallOutcome.Cancelled);

        Assert.InRange(rig[1].Latency.TotalMilliseconds, 990, 1010);
        Assert.Equal([100, 0], rig.Count(rig.Build("LeastLoad"), 100));
    }

    [Fact]
    public void A_caller_that_gave_up_soon_proves_nothing()
    {
        var rig = new BalancingRig(1);
        rig.Call(rig[0], 100);
        var before = rig[0].Latency;

        rig.Call(rig[0], 1, CallOutcome.Cancelled);

        Assert.InRange(rig[0].Latency.TotalMilliseconds, before.TotalMilliseconds - 1, before.TotalMilliseconds + 1);
    }

    [Fact]
    public void Calls_that_still_wait_count_as_latency()
    {
        var rig = new BalancingRig(2);
        rig.Call(rig[0], 10);
        rig.Call(rig[1], 10);
        rig[1].OnCallStarted();

        rig.Clock.Advance(TimeSpan.FromMilliseconds(500));
        rig[0].OnCallStarted();

        Assert.InRange(rig[1].Latency.TotalMilliseconds, 499, 501);
    }

    [Fact]
    public void A_stream_counts_as_in_flight_but_its_length_is_not_latency()
    {
        var rig = new BalancingRig(1);
        var call = rig[0].OnCallStarted();
        rig.Clock.Advance(TimeSpan.FromMilliseconds(10));
        call = rig[0].OnHeaders(call);

        rig.Clock.Advance(TimeSpan.FromSeconds(10));
        rig[0].OnCallEnded(rig[0].OnHeaders(rig[0].OnCallStarted()), CallOutcome.Success);

        Assert.Equal(1, rig[0].InFlight);
        Assert.True(rig[0].Latency < TimeSpan.FromMilliseconds(11), $"{rig[0].Latency}");
        rig[0].OnCallEnded(call, CallOutcome.Success);
        Assert.Equal(0, rig[0].InFlight);
    }

    /// <summary>Servers send a stream's headers with its first message.</summary>
    [Fact]
    public void Quiet_streams_leave_everybody_his_share()
    {
        var rig = new BalancingRig(3);
        rig.Instances.ForEach(static instance => instance.OnCallStarted());
        rig.Clock.Advance(TimeSpan.FromMinutes(1));
        var balancer = rig.Build("LeastLoad");
        var counts = new int[3];
        for (var i = 0; i < 900; i++)
        {
            var instance = balancer.Pick(default)!;
            rig.Call(instance, 1);
            rig.Clock.Advance(TimeSpan.FromMilliseconds(9));
            counts[rig.Instances.IndexOf(instance)]++;
        }

        Assert.All(counts, static c => Assert.InRange(c, 200, 400));
    }

    [Fact]
    public void Where_a_wait_is_all_that_is_known_it_counts_for_some_seconds()
    {
        var rig = new BalancingRig(2);
        rig.Call(rig[0], 10);
        rig.Call(rig[0], 10);
        rig[1].OnCallStarted();

        rig.Clock.Advance(TimeSpan.FromSeconds(3));
        rig.Call(rig[0], 10);
        Assert.InRange(rig[1].Latency.TotalSeconds, 3, 3.1);

        rig.Clock.Advance(TimeSpan.FromSeconds(3));
        rig.Call(rig[0], 10);
        Assert.InRange(rig[1].Latency.TotalSeconds, 0, 0.1);
    }

    [Fact]
    public void One_that_answers_nothing_is_shunned_again_by_each_call_that_it_gets()
    {
        var rig = new BalancingRig(2);
        for (var i = 0; i < 10; i++)
        {
            rig[1].OnCallStarted();
        }

        for (var i = 0; i < 3; i++)
        {
            rig.Clock.Advance(TimeSpan.FromSeconds(35));
            rig.Call(rig[0], 10);
            Assert.InRange(rig[1].Latency.TotalSeconds, 0, 0.1);

            rig[1].OnCallStarted();
            rig.Clock.Advance(TimeSpan.FromSeconds(30));
            rig.Call(rig[0], 10);
            Assert.InRange(rig[1].Latency.TotalSeconds, 30, 31);
        }
    }

    [Fact]
    public void A_body_that_stalls_is_latency_though_its_headers_were_an_answer()
    {
        var rig = new BalancingRig(1);
        rig.Call(rig[0], 10);
        rig.Call(rig[0], 10);
        var call = rig[0].OnHeaders(rig[0].OnCallStarted());
        rig.Clock.Advance(TimeSpan.FromSeconds(30));

        rig[0].OnCallEnded(call, CallOutcome.Stalled);

        Assert.InRange(rig[0].Latency.TotalSeconds, 29, 31);
    }

    [Theory]
    [InlineData(CallOutcome.Cancelled, 60, false)]
    [InlineData(CallOutcome.TimedOut, 60, false)]
    [InlineData(CallOutcome.Cancelled, 2, false)]
    [InlineData(CallOutcome.TimedOut, 2, true)]
    internal void The_end_of_a_quiet_stream_is_no_latency_but_a_limit_of_few_seconds_is(CallOutcome outcome, int seconds, bool counts)
    {
        var rig = new BalancingRig(1);
        var stream = rig[0].OnCallStarted();
        rig.Clock.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromMilliseconds(20));
        rig.Call(rig[0], 10);
        rig.Call(rig[0], 10);

        rig[0].OnCallEnded(stream, outcome);

        Assert.Equal(counts, rig[0].Latency > TimeSpan.FromMilliseconds(11));
    }

    [Fact]
    public void What_was_slow_long_ago_is_tried_again()
    {
        var rig = new BalancingRig(2);
        rig.Call(rig[0], 10);
        rig.Call(rig[1], 1000, CallOutcome.Cancelled);
        var balancer = rig.Build("LeastLoad");
        Assert.Equal(0, rig.Count(balancer, 100)[1]);

        rig.Clock.Advance(TimeSpan.FromSeconds(9));
        rig.Call(rig[0], 10);
        Assert.InRange(rig[1].Latency.TotalMilliseconds, 30, 100);

        rig.Clock.Advance(TimeSpan.FromSeconds(20));
        rig.Call(rig[0], 10);
        Assert.InRange(rig[1].Latency.TotalMilliseconds, 9, 11);
        Assert.InRange(rig.Count(balancer, 100)[1], 1, 99);
    }

    [Fact]
    public void A_newcomer_is_taken_for_as_fast_as_is_usual()
    {
        var rig = new BalancingRig(2);
        for (var i = 0; i < 2; i++)
        {
            rig.Call(rig[0], 40);
            rig.Call(rig[1], 40);
        }

        var newcomer = rig.Join();

        Assert.InRange(newcomer.Latency.TotalMilliseconds, 39, 41);
    }

    [Fact]
    public void Only_a_few_calls_reach_a_server_that_never_answers()
    {
        var rig = new BalancingRig(11);
        var balancer = rig.Build("LeastLoad");
        var silent = rig[3];
        var lost = 0;

        for (var i = 0; i < 2000; i++)
        {
            var instance = balancer.Pick(default)!;
            if (instance == silent)
            {
                silent.OnCallStarted();
                lost++;
            }
            else
            {
                rig.Call(instance, 10);
            }
        }

        Assert.InRange(lost, 1, 3);
    }

    /// <summary>Calls all so that what is known of each is recent: what is old, or nothing, is compared in another way.</summary>
    private static void Learn(BalancingRig rig)
    {
        // The first answer of each does not count.
        for (var i = 0; i < 2; i++)
        {
            rig.Instances.ForEach(instance => rig.Call(instance, 0.01));
        }
    }
}
