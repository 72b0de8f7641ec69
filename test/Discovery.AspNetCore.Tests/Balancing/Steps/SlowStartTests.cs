using Discovery.AspNetCore.Balancing.Steps;

namespace Discovery.AspNetCore.Tests.Balancing.Steps;

public class SlowStartTests
{
    [Fact]
    public void Endpoints_of_the_first_snapshot_get_their_share_at_once()
    {
        var rig = new BalancingRig(3);

        Assert.Null(rig.Build().RebuildAfter);
        Assert.All(rig.Instances, e => Assert.Equal(10, e.Weight));
    }

    [Theory]
    [InlineData("RoundRobin")]
    [InlineData("WeightedRoundRobin")]
    [InlineData("Random")]
    public void A_newcomer_starts_with_a_tenth_and_grows(string policy)
    {
        var rig = new BalancingRig(2);
        var newcomer = rig.Join();

        var shares = new List<double>();
        for (var step = 0; step <= 10; step++)
        {
            var balancer = rig.Build(policy);
            shares.Add(rig.Count(balancer, 21_000)[2] / 21_000.0);
            rig.Clock.Advance(balancer.RebuildAfter ?? TimeSpan.Zero);
        }

        Assert.InRange(shares[0], 0.04, 0.06);
        Assert.InRange(shares[4], 0.18, 0.22);
        Assert.InRange(shares[10], 0.31, 0.35);
        Assert.Equal(10, newcomer.Weight);
        Assert.Null(rig.Build().RebuildAfter);
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

        rig.Build();

        Assert.Equal(1, rig[1].Weight);
        rig.Clock.Advance(rig.Options.SlowStart);
        rig.Build();
        Assert.Equal(10, rig[1].Weight);
    }

    [Fact]
    public void It_can_be_turned_off()
    {
        var rig = new BalancingRig(2, o => o.SlowStart = TimeSpan.Zero);
        rig.Join();

        Assert.Equal([10, 10, 10], rig.Count(rig.Build(), 30));
    }
}
