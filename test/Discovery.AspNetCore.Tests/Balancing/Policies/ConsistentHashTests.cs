using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Balancing.Policies;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Balancing.Policies;

public class ConsistentHashTests
{
    private const int Keys = 20_000;

    [Theory]
    [InlineData(10, 10)]
    [InlineData(50, 10)]
    [InlineData(50, 1)]
    [InlineData(50, 100)]
    public void At_most_two_nths_of_the_keys_move_when_one_of_n_leaves(int count, int weight)
    {
        var rig = new BalancingRig(count, shape: (_, s) => s with { Weight = weight });
        var before = Owners(rig.Build("ConsistentHash"));
        for (var i = 0; i < count; i++)
        {
            var left = rig[i];
            rig.Instances.RemoveAt(i);

            var after = Owners(rig.Build("ConsistentHash"));

            var moved = before.Zip(after).Count(p => p.First != p.Second);
            Assert.InRange(moved, 1, 2 * Keys / count);
            Assert.Equal(moved, before.Count(o => o == left));
            rig.Instances.Insert(i, left);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public void Only_its_own_keys_move_when_the_one_of_another_weight_leaves(int weight)
    {
        var rig = new BalancingRig(10, shape: (i, s) => i == 3 ? s with { Weight = weight } : s);
        var before = Owners(rig.Build("ConsistentHash"));
        var left = rig[3];
        rig.Instances.RemoveAt(3);

        var after = Owners(rig.Build("ConsistentHash"));

        Assert.Equal(before.Count(o => o == left), before.Zip(after).Count(p => p.First != p.Second));
    }

    [Theory]
    [InlineData(100, 200)]
    [InlineData(5, 20)]
    [InlineData(10, 100)]
    public void Only_its_own_keys_move_when_one_of_two_sizes_leaves(int small, int large)
    {
        Assert.All(MovesWithoutNeed(small, large), moved => Assert.Equal(0, moved));
    }

    [Theory]
    [InlineData(1, 4)]
    [InlineData(1000, 3000)]
    [InlineData(1, 1_000_000)]
    public void With_unusual_weights_few_keys_of_the_others_move(int small, int large)
    {
        // A tenth is what one of ten has; chance decides on the rest.
        Assert.All(MovesWithoutNeed(small, large), moved => Assert.InRange(moved, 0, Keys * 0.13));
    }

    [Fact]
    public void Weights_decide_how_many_keys_an_instance_has()
    {
        var rig = new BalancingRig(4, shape: (i, s) => s with { Weight = i == 0 ? 30 : 10 });

        var share = Owners(rig.Build("ConsistentHash")).Count(o => o == rig[0]) / (double)Keys;

        Assert.InRange(share, 0.4, 0.6);
    }

    [Fact]
    public void A_key_whose_instance_is_too_busy_goes_to_the_next_and_comes_back()
    {
        var rig = new BalancingRig(5);
        var balancer = rig.Build("ConsistentHash");
        var own = balancer.Pick(new PickArguments { HashKey = "hot" })!;

        var calls = Enumerable.Range(0, 100).Select(_ =>
        {
            var instance = balancer.Pick(new PickArguments { HashKey = "hot" })!;
            return (Instance: instance, Call: instance.OnCallStarted());
        }).ToList();

        Assert.All(rig.Instances, e => Assert.InRange(e.InFlight, 0, 26));
        calls.ForEach(c => c.Instance.OnCallEnded(c.Call, CallOutcome.Success));
        Assert.Same(own, balancer.Pick(new PickArguments { HashKey = "hot" }));
    }

    /// <summary>A page with an event stream asks for a few things at once, and what is cached for its user is at one instance.</summary>
    [Fact]
    public void A_few_calls_in_flight_move_no_key()
    {
        var rig = new BalancingRig(4);
        var balancer = rig.Build("ConsistentHash");
        var owners = Owners(balancer);
        foreach (var key in Enumerable.Range(0, 4))
        {
            for (var i = 0; i < 2; i++)
            {
                balancer.Pick(new PickArguments { HashKey = $"key-{key}" })!.OnCallStarted();
            }
        }

        Assert.Equal(owners, Owners(balancer));
    }

    [Fact]
    public void Without_a_key_calls_spread()
    {
        var rig = new BalancingRig(5);

        Assert.All(rig.Count(rig.Build("ConsistentHash"), 1000), c => Assert.InRange(c, 100, 300));
    }

    [Fact]
    public void A_failover_goes_to_the_same_second_instance_each_time()
    {
        var rig = new BalancingRig(5);
        var balancer = rig.Build("ConsistentHash");
        var own = balancer.Pick(new PickArguments { HashKey = "key" })!;

        var seconds = Enumerable.Range(0, 50).Select(_ => balancer.Pick(new PickArguments { HashKey = "key", Attempt = 1 }, [own])!).Distinct().ToList();

        Assert.Single(seconds);
        Assert.NotSame(own, seconds[0]);
    }

    [Fact]
    public void A_large_service_is_built_in_reasonable_size()
    {
        var rig = new BalancingRig(10_000);

        Assert.InRange(new HashRingBuilder(rig.Instances).Ring.Count, 200_000, 300_000);
    }

    /// <summary>For each of ten instances of two weights: how many keys of the others move when it leaves.</summary>
    private static IEnumerable<int> MovesWithoutNeed(int small, int large)
    {
        var rig = new BalancingRig(10, shape: (i, s) => s with { Weight = i % 2 == 0 ? small : large });
        var before = Owners(rig.Build("ConsistentHash"));
        for (var i = 0; i < 10; i++)
        {
            var left = rig[i];
            rig.Instances.RemoveAt(i);
            var after = Owners(rig.Build("ConsistentHash"));
            rig.Instances.Insert(i, left);
            yield return before.Zip(after).Count(p => p.First != p.Second && p.First != left);
        }
    }

    private static List<InstanceState> Owners(Balancer balancer)
        => [.. Enumerable.Range(0, Keys).Select(i => balancer.Pick(new PickArguments { HashKey = $"key-{i}" })!)];
}
