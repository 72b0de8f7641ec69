using Discovery.AspNetCore.Balancing.Policies;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Balancing.Policies;

public sealed class InFlightBoundTests
{
    /// <summary>A count of picks that all threads shared would be the one place that all calls write to.</summary>
    [Fact]
    public void Each_thread_has_its_own_count_of_picks_until_the_next_sum()
    {
        var instances = new BalancingRig(80).Instances.ToArray();
        var bound = new InFlightBound(InstanceList.Of(instances));
        var idle = bound.PerWeight();
        StartCalls(instances);

        Assert.Equal(idle, bound.PerWeight());
        var elsewhere = 0.0;
        var thread = new Thread(() => elsewhere = bound.PerWeight());
        thread.Start();
        thread.Join();

        Assert.True(elsewhere > 50 * idle, $"{elsewhere} per weight, {idle} before");
    }

    [Fact]
    public void The_sum_is_taken_again_every_few_picks_of_a_thread()
    {
        var instances = new BalancingRig(80).Instances.ToArray();
        var bound = new InFlightBound(InstanceList.Of(instances));
        var idle = bound.PerWeight();
        StartCalls(instances);

        var stale = Enumerable.Range(0, 20).TakeWhile(_ => bound.PerWeight() == idle).Count();

        Assert.InRange(stale, 1, 10);
    }

    /// <summary>More than each may have whatever all have.</summary>
    private static void StartCalls(InstanceState[] instances)
    {
        for (var i = 0; i < 1000; i++)
        {
            Array.ForEach(instances, static i => i.OnCallStarted());
        }
    }
}
