using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>What calls go by is built anew for changes alone, seldom, and ends up right.</summary>
public sealed class RebuildTests
{
    [Fact]
    public async Task A_storm_of_changes_is_built_a_few_times_a_second_and_the_last_change_counts()
    {
        using var rig = new PoolRig(PoolRig.Records(20));
        await rig.FollowAsync(PoolRig.Records(21));
        ServiceSnapshot last = null!;

        var rebuilds = Rebuilds(rig, TimeSpan.FromSeconds(5), i => last = rig.Publish([PoolRig.Record(i % 100), PoolRig.Record(100, $"{i}")]));

        Assert.InRange(rebuilds, 5, 21);
        await Eventually.IsTrue(() =>
        {
            rig.Clock.Advance(TimeSpan.FromMilliseconds(10));
            return rig.Pool.Current!.Snapshot == last;
        });
    }

    [Fact]
    public async Task A_change_after_a_quiet_while_counts_at_once()
    {
        using var rig = new PoolRig(PoolRig.Records(2));
        rig.Clock.Advance(TimeSpan.FromSeconds(1));

        var snapshot = rig.Publish(PoolRig.Records(3));

        await Eventually.IsTrue(() => rig.Pool.Current!.Snapshot == snapshot);
    }

    [Fact]
    public async Task An_urgent_change_right_after_the_first_build_counts_at_once()
    {
        using var rig = new PoolRig(PoolRig.Records(2));
        var first = rig.Pool.Current!;

        first.Instances[0].OnRefused(InstanceProtocols.Http1);

        await Eventually.IsTrue(() => rig.Pool.Current != first);
        Assert.Equal(first.Instances[1].Record, Assert.Single(rig.Count(10)).Key);
    }

    [Fact]
    public async Task Idle_clients_of_many_services_in_a_zone_do_nothing()
    {
        var clock = new TimerCounter();
        var rigs = Enumerable.Range(0, 10)
            .Select(_ => new PoolRig(PoolRig.Records(30).Select((r, i) => r with { Zone = $"zone-{i % 3}" }), o => (o.Zone, o.SlowStart) = ("zone-0", TimeSpan.FromSeconds(30)), clock))
            .ToList();
        foreach (var rig in rigs)
        {
            // What leaves is looked after for a while, and what joins starts slowly.
            PoolRig.Answer(rig.Pool.Current!.Instances[0]);
            await rig.FollowAsync(PoolRig.Records(31).Skip(1));
            rig.Count(10);
            Assert.Single(rig.Pool.Current!.Instances, static i => i.JoinedAt is not null);
        }

        clock.Advance(TimeSpan.FromMinutes(1));
        var built = rigs.ConvertAll(static r => r.Pool.Current);
        var fired = clock.Fired;
        for (var i = 0; i < 3600; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(fired, clock.Fired);
        Assert.Equal(built, rigs.ConvertAll(static r => r.Pool.Current));
        rigs.ForEach(static r => r.Dispose());
    }

    [Fact]
    public void A_policy_that_throws_is_not_asked_for_each_change()
    {
        var policy = new ThrowingPolicy();
        using var rig = new PoolRig(PoolRig.Records(2), policy: policy);

        for (var i = 0; i < 2000; i++)
        {
            rig.Publish([PoolRig.Record(i)]);
            rig.Clock.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.InRange(policy.Asked, 1, 10);
    }

    [Fact]
    public async Task Urgent_changes_of_all_instances_count_soon_and_together()
    {
        using var rig = new PoolRig(PoolRig.Records(200));
        rig.Count(1);
        var instances = rig.Pool.Current!.Instances;

        var rebuilds = Rebuilds(rig, TimeSpan.FromMilliseconds(150), i => instances[i].OnRefused(InstanceProtocols.Http1));

        Assert.InRange(rebuilds, 0, 15);
        await Eventually.IsTrue(() =>
        {
            rig.Clock.Advance(TimeSpan.FromMilliseconds(10));
            return rig.Count(200).Count == 50;
        });
    }

    [Fact]
    public async Task Ejections_that_end_one_after_another_count_together()
    {
        using var rig = new PoolRig(PoolRig.Records(200), o => o.Ejection.MaxEjectedPercent = 100);
        foreach (var instance in rig.Pool.Current!.Instances.Take(60))
        {
            for (var i = 0; i < 5; i++)
            {
                instance.OnCallEnded(instance.OnCallStarted(), CallOutcome.Failure);
            }
        }

        await Eventually.IsTrue(() =>
        {
            rig.Clock.Advance(TimeSpan.FromMilliseconds(50));
            return rig.Count(400).Count == 140;
        });
        var rebuilds = Rebuilds(rig, TimeSpan.FromSeconds(60), _ => { });

        Assert.InRange(rebuilds, 2, 60);
        Assert.Equal(200, rig.Count(400).Count);
    }

    [Fact]
    public async Task Instances_that_are_all_replaced_get_no_more_calls()
    {
        using var rig = new PoolRig(PoolRig.Records(10), o => o.Policy = BalancingPolicies.ConsistentHash);
        rig.Count(100, withKeys: true);

        await rig.FollowAsync(Enumerable.Range(0, 10).Select(i => PoolRig.Record(i, "b")));

        Assert.All(rig.Count(200, withKeys: true).Keys, static r => Assert.EndsWith("-b", r.InstanceId, StringComparison.Ordinal));

        await rig.FollowAsync([PoolRig.Record(77)]);

        Assert.Equal([PoolRig.Record(77)], rig.Count(10, withKeys: true).Keys);

        await rig.FollowAsync([]);

        Assert.Null(rig.Pool.Current!.For(new CallNeeds("http", InstanceProtocols.Http1, Version: null), hashKey: null));
    }

    [Fact]
    public async Task The_own_zone_may_come_and_go()
    {
        using var rig = new PoolRig(PoolRig.Records(8), o => (o.Zone, o.ZoneSpillOver.LatencyRatio) = ("here", 0));

        await rig.FollowAsync(PoolRig.Records(8).Select(static (r, i) => r with { Zone = i < 4 ? "HERE" : "there" }));

        Assert.Equal(4, rig.Count(80).Count);

        await rig.FollowAsync(PoolRig.Records(8).Select(static r => r with { Zone = "there" }));

        Assert.Equal(8, rig.Count(80).Count);
    }

    [Fact]
    public async Task Selected_instances_and_the_split_follow_the_records()
    {
        using var rig = new PoolRig(
            PoolRig.Records(4).Select(static r => r with { Version = "v1", Tags = ["blue"] }),
            o =>
            {
                o.Select.Tags.Add("blue");
                o.Split["v2"] = 50;
            });
        Assert.Equal(4, rig.Count(100).Count);

        // One leaves the selection, and one gets half of the calls.
        await rig.FollowAsync(PoolRig.Records(4).Select(static (r, i) => r with { Version = i == 0 ? "v2" : "v1", Tags = i == 3 ? [] : ["blue"] }));

        var counts = rig.Count(4000);
        Assert.Equal(3, counts.Count);
        Assert.InRange(counts.Single(static c => c.Key.Version == "v2").Value, 1800, 2200);
        Assert.Single(rig.Count(10, version: "v2"));
    }

    /// <summary>How often the pool is built while something happens in each millisecond.</summary>
    private static int Rebuilds(PoolRig rig, TimeSpan duration, Action<int> happens)
    {
        var rebuilds = 0;
        var current = rig.Pool.Current;
        for (var i = 0; i < duration.TotalMilliseconds; i++)
        {
            happens(i);
            rig.Clock.Advance(TimeSpan.FromMilliseconds(1));
            if (rig.Pool.Current != current)
            {
                current = rig.Pool.Current;
                rebuilds++;
            }
        }

        return rebuilds;
    }

    private sealed class ThrowingPolicy : IBalancingPolicy
    {
        public int Asked { get; private set; }

        public string Name => "Throwing";

        public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        {
            Asked++;
            throw new InvalidOperationException("no");
        }
    }

    private sealed class TimerCounter : FakeTimeProvider
    {
        private int _fired;

        public int Fired => Volatile.Read(ref _fired);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
            => base.CreateTimer(
                s =>
                {
                    Interlocked.Increment(ref _fired);
                    callback(s);
                },
                state,
                dueTime,
                period);
    }
}
