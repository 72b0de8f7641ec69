using Discovery.AspNetCore.Balancing.Steps;

namespace Discovery.AspNetCore.Tests.Balancing.Steps;

public class SlowStartTests
{
    [Fact]
    public void Endpoints_of_the_first_snapshot_get_their_share_at_once()
    {
        var rig = new BalancingRig(3);

        Assert.Equal([100, 100, 100], rig.Count(rig.Build(), 300));
    }

    [Theory]
    [InlineData("RoundRobin")]
    [InlineData("WeightedRoundRobin")]
    [InlineData("Random")]
    public void A_newcomer_starts_with_a_tenth_and_grows_and_nothing_is_built_again(string policy)
    {
        var rig = new BalancingRig(2);
        var newcomer = rig.Join();
        rig.Call(newcomer);
        var balancer = rig.Build(policy);
        Assert.Null(balancer.RebuildAfter);

        var shares = new List<double>();
        for (var step = 0; step <= 10; step++)
        {
            shares.Add(rig.Count(balancer, 21_000)[2] / 21_000.0);
            rig.Clock.Advance(rig.Options.SlowStart / 10);
        }

        Assert.InRange(shares[0], 0.04, 0.06);
        Assert.InRange(shares[5], 0.19, 0.24);
        Assert.InRange(shares[10], 0.31, 0.35);
        Assert.Equal(10, newcomer.Weight);
    }

    [Fact]
    public void A_newcomer_gets_the_same_keys_while_it_starts_and_more_of_them()
    {
        var rig = new BalancingRig(3);
        var newcomer = rig.Join();
        var balancer = rig.Build("ConsistentHash");
        var before = new HashSet<int>();
        for (var step = 0; step <= 10; step++)
        {
            var keys = Enumerable.Range(0, 2000).Where(i => balancer.Pick(new PickArguments { HashKey = $"key-{i}" }) == newcomer).ToHashSet();

            Assert.Superset(before, keys);
            before = keys;
            rig.Clock.Advance(rig.Options.SlowStart / 10);
        }

        Assert.InRange(before.Count, 350, 650);
    }

    [Fact]
    public void Least_load_spares_a_newcomer_too()
    {
        var rig = new BalancingRig(4);
        rig.Join();
        var balancer = rig.Build("LeastLoad");
        for (var i = 0; i < 410; i++)
        {
            balancer.Pick(default)!.OnCallStarted();
        }

        Assert.InRange(rig[4].InFlight, 5, 15);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(20)]
    public void Least_load_gives_a_newcomer_a_first_call_soon_though_nobody_is_busy(int count)
    {
        var rig = new BalancingRig(count);
        for (var i = 0; i < 2 * count; i++)
        {
            rig.Call(rig[i % count]);
        }

        var newcomer = rig.Join();
        var balancer = rig.Build("LeastLoad");
        var calls = 0;
        for (; newcomer.InFlight == 0 && calls < 200; calls++)
        {
            var instance = balancer.Pick(default)!;
            if (instance == newcomer)
            {
                instance.OnCallStarted();
            }
            else
            {
                rig.Call(instance);
            }
        }

        Assert.InRange(calls, 1, 10 * count);
        Assert.Equal(0, rig.Count(balancer, 100)[count]);
    }

    [Fact]
    public void Who_comes_back_from_ejection_starts_slowly()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 5);
        rig.Clock.Advance(rig.Build().RebuildAfter!.Value);

        var balancer = rig.Build();

        Assert.InRange(rig.Count(balancer, 2100)[1], 60, 140);
        rig.Clock.Advance(rig.Options.SlowStart);
        Assert.InRange(rig.Count(balancer, 2100)[1], 690, 710);
    }

    [Fact]
    public void It_can_be_turned_off()
    {
        var rig = new BalancingRig(2, o => o.SlowStart = TimeSpan.Zero);
        rig.Join();

        Assert.Equal([10, 10, 10], rig.Count(rig.Build(), 30));
    }
}
