using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Balancing.Policies;

public class PolicyTests
{
    [Fact]
    public void Round_robin_gives_each_instance_the_same_whatever_its_weight()
    {
        var rig = new BalancingRig(3, shape: (i, s) => s with { Weight = i + 1 });

        Assert.Equal([100, 100, 100], rig.Count(rig.Build(), 300));
    }

    [Fact]
    public void Round_robin_starts_anywhere()
    {
        var rig = new BalancingRig(5);

        var first = Enumerable.Range(0, 100).Select(_ => rig.Build().Pick(default)!.Record.Key).Distinct();

        Assert.Equal(5, first.Count());
    }

    [Fact]
    public void Weighted_round_robin_is_exact_in_each_cycle_and_smooth_within()
    {
        var rig = new BalancingRig(3, shape: (i, s) => s with { Weight = new[] { 50, 10, 20 }[i] });
        var balancer = rig.Build("WeightedRoundRobin");

        var cycles = Enumerable.Range(0, 8).Select(_ => balancer.Pick(default)!).ToArray();

        Assert.Equal([5, 1, 2], rig.Instances.Select(e => cycles.Count(c => c == e)));
        Assert.Equal([500, 100, 200], rig.Count(balancer, 800));
        var order = string.Concat(cycles.Select(e => rig.Instances.IndexOf(e)));
        Assert.DoesNotContain("0000", order + order, StringComparison.Ordinal);
        Assert.DoesNotContain("22", order + order, StringComparison.Ordinal);
    }

    [Fact]
    public void Weighted_round_robin_copes_with_weights_that_have_nothing_in_common()
    {
        var rig = new BalancingRig(3, shape: (i, s) => s with { Weight = new[] { 9973, 4999, 1 }[i] });

        var counts = rig.Count(rig.Build("WeightedRoundRobin"), 100_000);

        Assert.InRange(counts[0] / (double)counts[1], 1.95, 2.05);
        Assert.InRange(counts[2], 1, 1000);
    }

    [Fact]
    public void Random_follows_the_weights()
    {
        var rig = new BalancingRig(4, shape: (i, s) => s with { Weight = new[] { 1, 2, 3, 14 }[i] });

        var counts = rig.Count(rig.Build("Random"), 100_000);

        Assert.All(counts.Zip([5_000, 10_000, 15_000, 70_000]), c => Assert.InRange(c.First, c.Second * 0.95, c.Second * 1.05));
    }

    [Fact]
    public void Pick_first_stays_with_the_first_key_and_goes_on_to_the_next()
    {
        var rig = new BalancingRig(3, shape: (i, s) => s with { Key = $"svc/{"bac"[i]}" });
        var balancer = rig.Build("PickFirst");

        Assert.Equal([0, 10, 0], rig.Count(balancer, 10));
        Assert.Equal("svc/b", balancer.Pick(new PickArguments { Attempt = 1 }, [rig[1]])!.Record.Key);
        Assert.Equal("svc/c", balancer.Pick(new PickArguments { Attempt = 2 }, [rig[1], rig[0]])!.Record.Key);
    }

    [Fact]
    public void A_policy_that_does_not_exist_is_told_with_those_that_do()
    {
        var error = Assert.Throws<InvalidOperationException>(() => new PolicyCatalog([]).Get("Fastest", "Etcd:Discovery:Policy"));

        Assert.Contains("Etcd:Discovery:Policy is 'Fastest'", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "ConsistentHash, LeastLoad, PickFirst, Random, RoundRobin, WeightedRoundRobin", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_own_policy_is_found_whatever_the_case_and_wins_over_a_built_in_one()
    {
        var own = new Own("ROUNDROBIN");
        var policies = new PolicyCatalog([own, new Own("mine")]);

        Assert.Same(own, policies.Get("RoundRobin", "Policy"));
        Assert.Equal("mine", policies.Get("Mine", "Policy").Name);
        Assert.Contains("mine", policies.Names);
    }

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("WeightedRoundRobin")]
    [InlineData("Random")]
    [InlineData("ConsistentHash")]
    [InlineData("PickFirst")]
    public void A_call_allocates_nothing(string policy)
    {
        var rig = new BalancingRig(20);
        var balancer = rig.Build(policy);
        Cycle(balancer, 100);

        var before = GC.GetAllocatedBytesForCurrentThread();
        Cycle(balancer, 1000);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        static void Cycle(Balancer balancer, int calls)
        {
            for (var i = 0; i < calls; i++)
            {
                var instance = balancer.Pick(new PickArguments { HashKey = "key" })!;
                instance.OnCallEnded(instance.OnHeaders(instance.OnCallStarted()), CallOutcome.Success);
            }
        }
    }

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("ConsistentHash")]
    [InlineData("Random")]
    public void Picks_from_many_threads_leave_no_call_behind(string policy)
    {
        var rig = new BalancingRig(7);
        var balancer = rig.Build(policy);

        Parallel.For(0, 20_000, i =>
        {
            var instance = balancer.Pick(new PickArguments { HashKey = $"key-{i % 100}" })!;
            var call = instance.OnCallStarted();
            instance.OnCallEnded(i % 2 == 0 ? instance.OnHeaders(call) : call, (CallOutcome)(i % 4));
        });

        Assert.All(rig.Instances, e => Assert.Equal(0, e.InFlight));
    }

    private sealed class Own(string name) : IBalancingPolicy
    {
        public string Name => name;

        public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => throw new NotSupportedException();
    }
}
