namespace Discovery.AspNetCore.Tests.Balancing.Steps;

public class ZoneSplitTests
{
    [Fact]
    public void Calls_stay_in_the_own_zone_but_for_one_in_a_hundred()
    {
        var rig = InZones("aabbcc", o => o.Zone = "A");

        var counts = rig.Count(rig.Build(), 10_000);

        Assert.InRange(counts[2..].Sum(), 50, 200);
    }

    [Fact]
    public void Without_watching_latency_all_stay()
    {
        var rig = InZones("aabbcc", o =>
        {
            o.Zone = "a";
            o.ZoneSpillOver.LatencyRatio = 0;
        });

        Assert.Equal(0, rig.Count(rig.Build(), 1000)[2..].Sum());
    }

    [Fact]
    public void A_zone_with_less_than_its_part_of_the_capacity_sends_on_the_rest()
    {
        var rig = InZones("abbbbbbbbb", o => o.Zone = "a");

        var counts = rig.Count(rig.Build(), 10_000);

        Assert.InRange(counts[0], 1800, 2200);
    }

    [Fact]
    public void Ejection_makes_a_zone_smaller()
    {
        var rig = InZones("aabb", o => o.Zone = "a");
        rig.Fail(rig[0], 5);

        var counts = rig.Count(rig.Build(), 9_000);

        Assert.Equal(0, counts[0]);
        Assert.InRange(counts[1], 5700, 6300);
    }

    [Fact]
    public void A_quiet_stream_in_the_own_zone_sends_no_calls_away()
    {
        var rig = InZones("aabb", o => o.Zone = "a");
        rig[0].OnCallStarted();
        rig.Clock.Advance(TimeSpan.FromMinutes(1));
        for (var i = 0; i < 400; i++)
        {
            rig.Call(rig[1 + (i % 3)], 2);
        }

        var counts = rig.Count(rig.Build(), 10_000);

        Assert.InRange(counts[2..].Sum(), 50, 200);
    }

    [Fact]
    public void A_slow_zone_sends_calls_away_in_proportion_and_calls_review_the_share()
    {
        var rig = InZones("aabb", o => o.Zone = "a");
        for (var i = 0; i < 400; i++)
        {
            rig.Call(rig[i % 4], i % 4 < 2 ? 60 : 2);
        }

        var balancer = rig.Build();
        var counts = rig.Count(balancer, 10_000);

        Assert.InRange(counts[..2].Sum(), 700, 1600);
        Assert.Null(balancer.RebuildAfter);
        for (var i = 0; i < 400; i++)
        {
            rig.Call(rig[i % 4], i % 4 < 2 ? 2 : 60);
        }

        Assert.InRange(rig.Count(balancer, 10_000)[..2].Sum(), 9800, 10_000);
    }

    [Fact]
    public void No_instance_in_the_own_zone_means_that_zones_do_not_matter()
    {
        var rig = InZones("bbcc", o => o.Zone = "a");

        Assert.Equal([25, 25, 25, 25], rig.Count(rig.Build(), 100));
    }

    [Fact]
    public void Too_few_instances_in_the_own_zone_mean_that_zones_do_not_matter()
    {
        var rig = InZones("aabb", o =>
        {
            o.Zone = "a";
            o.ZoneSpillOver.MinInstances = 3;
        });

        Assert.Equal([25, 25, 25, 25], rig.Count(rig.Build(), 100));
    }

    [Fact]
    public void A_key_does_not_wander_between_zones()
    {
        var rig = InZones("abbb", o => o.Zone = "a");
        var balancer = rig.Build("ConsistentHash");

        for (var i = 0; i < 100; i++)
        {
            var key = new PickArguments { HashKey = $"key-{i}" };
            var owner = balancer.Pick(key);
            Assert.All(Enumerable.Range(0, 20), _ => Assert.Same(owner, balancer.Pick(key)));
        }
    }

    private static BalancingRig InZones(string zones, Action<BalancingOptions> configure)
        => new(zones.Length, configure, (i, s) => s with { Zone = zones[i].ToString() });
}
