using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>Who starts slowly, and who would only be kept from its share by it.</summary>
public sealed class JoiningTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Instances_that_come_before_the_first_answers_get_their_share_at_once(int first)
    {
        using var rig = new PoolRig(PoolRig.Records(first), static o => o.SlowStart = TimeSpan.FromSeconds(15));

        await rig.FollowAsync(PoolRig.Records(3));

        Assert.All(rig.Pool.Current!.Instances, static i => Assert.Null(i.JoinedAt));
        Assert.Equal([100, 100, 100], rig.Count(300).Values);
    }

    [Fact]
    public async Task Instances_that_come_later_start_slowly()
    {
        using var rig = new PoolRig(PoolRig.Records(2), static o => o.SlowStart = TimeSpan.FromSeconds(15));
        PoolRig.Answer(rig.Pool.Current!.Instances[0]);

        await rig.FollowAsync(PoolRig.Records(3));

        // The first call opens the connection.
        PoolRig.Answer(rig.Pool.Current!.Instances.Single(static i => i.JoinedAt is not null));
        Assert.InRange(rig.Count(3000)[PoolRig.Record(2)], 20, 300);
    }

    [Fact]
    public async Task Calls_that_all_failed_have_warmed_nobody_up()
    {
        using var rig = new PoolRig(PoolRig.Records(1), static o => (o.SlowStart, o.Ejection.Enabled) = (TimeSpan.FromSeconds(15), false));
        for (var i = 0; i < 10; i++)
        {
            var instance = rig.Pool.Current!.Instances[0];
            instance.OnCallEnded(instance.OnCallStarted(), CallOutcome.ConnectFailure);
        }

        await rig.FollowAsync(PoolRig.Records(2));

        Assert.All(rig.Pool.Current!.Instances, static i => Assert.Null(i.JoinedAt));
        Assert.Equal([50, 50], rig.Count(100).Values);
    }
}
