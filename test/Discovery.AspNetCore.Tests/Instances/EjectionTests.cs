using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Tests.Balancing;

namespace Discovery.AspNetCore.Tests.Instances;

public class EjectionTests
{
    [Fact]
    public void Five_failures_in_a_row_eject_an_instance_and_ask_for_a_new_balancer()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 4);
        Assert.False(rig[1].IsEjected);

        rig.Fail(rig[1]);

        Assert.True(rig[1].IsEjected);
        Assert.Equal(1, rig.Changes);
        Assert.Equal([50, 0, 50], rig.Count(rig.Build(), 100));
    }

    [Fact]
    public void A_success_breaks_the_row()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 4);
        rig.Call(rig[1]);
        rig.Fail(rig[1], 4);

        Assert.False(rig[1].IsEjected);
    }

    [Fact]
    public void Two_failures_to_connect_are_enough()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 1, CallOutcome.ConnectFailure);
        Assert.False(rig[1].IsEjected);

        rig.Fail(rig[1], 1, CallOutcome.ConnectFailure);

        Assert.True(rig[1].IsEjected);
    }

    [Fact]
    public void Failing_every_other_call_ejects_in_time_and_failing_every_tenth_does_not()
    {
        var rig = new BalancingRig(3, o => o.Ejection.FailureRatePercent = 40);
        for (var i = 0; i < 100; i++)
        {
            rig.Fail(rig[1]);
            rig.Call(rig[1]);
            rig.Call(rig[2], 10, i % 10 == 0 ? CallOutcome.Failure : CallOutcome.Success);
        }

        Assert.True(rig[1].Health.EjectedUntil > 0);
        Assert.False(rig[2].Health.EjectedUntil > 0);
        Assert.InRange(rig[2].FailureRate, 0.03, 0.2);
    }

    [Fact]
    public void A_caller_that_gives_up_is_no_failure()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 100, CallOutcome.Cancelled);

        Assert.False(rig[1].IsEjected);
        Assert.Equal(0, rig[1].FailureRate);
    }

    [Fact]
    public void It_ends_when_the_balancer_said_it_would()
    {
        var rig = new BalancingRig(3, o => o.SlowStart = TimeSpan.Zero);
        rig.Fail(rig[1], 5);
        var after = rig.Build().RebuildAfter;

        Assert.NotNull(after);
        Assert.InRange(after.Value.TotalSeconds, 4.5, 5.5);
        rig.Clock.Advance(after.Value);
        Assert.False(rig[1].IsEjected);
        Assert.Equal([100, 100, 100], rig.Count(rig.Build(), 300));
        Assert.Null(rig.Build().RebuildAfter);
    }

    [Fact]
    public void After_it_one_failure_ejects_again_for_twice_as_long_up_to_the_longest()
    {
        var rig = new BalancingRig(3, o => o.Ejection.MaxDuration = TimeSpan.FromSeconds(60));
        rig.Fail(rig[1], 4);
        foreach (var expected in new[] { 5, 10, 20, 40, 60, 60 })
        {
            rig.Fail(rig[1]);

            Assert.True(rig[1].IsEjected);
            var left = Remaining(rig, rig[1]);
            Assert.InRange(left.TotalSeconds, expected * 0.89, expected * 1.11);
            rig.Clock.Advance(left + TimeSpan.FromTicks(1));
        }
    }

    [Fact]
    public void A_success_ends_probation_and_success_that_lasts_shortens_the_next_ejection()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 5);
        rig.Clock.Advance(TimeSpan.FromSeconds(6));
        rig.Fail(rig[1]);
        Assert.InRange(Remaining(rig, rig[1]).TotalSeconds, 9, 11);
        rig.Clock.Advance(TimeSpan.FromSeconds(11));

        rig.Call(rig[1]);
        rig.Fail(rig[1], 4);
        Assert.False(rig[1].IsEjected);
        for (var i = 0; i < 3; i++)
        {
            rig.Clock.Advance(TimeSpan.FromSeconds(5));
            rig.Call(rig[1]);
        }

        rig.Fail(rig[1], 5);
        Assert.InRange(Remaining(rig, rig[1]).TotalSeconds, 4.5, 5.5);
    }

    [Fact]
    public void A_call_from_before_the_ejection_proves_nothing_after_it()
    {
        var rig = new BalancingRig(3);
        var late = rig[1].OnCallStarted();
        rig.Fail(rig[1], 5);
        rig.Clock.Advance(TimeSpan.FromSeconds(6));

        rig[1].OnCallEnded(late, CallOutcome.Failure);

        Assert.False(rig[1].IsEjected);
        Assert.Equal(1, rig.Changes);
    }

    [Fact]
    public void At_most_half_are_ejected_and_the_worst_of_them()
    {
        var rig = new BalancingRig(10);
        rig.Fail(rig[9], 5);
        rig.Clock.Advance(TimeSpan.FromSeconds(6));
        rig.Fail(rig[9]);
        for (var i = 0; i < 6; i++)
        {
            rig.Fail(rig[i], 5);
        }

        var used = rig.Build().InUse;

        Assert.Equal(5, used.Count);
        Assert.DoesNotContain(rig[9], used);
    }

    [Fact]
    public void When_nearly_all_fail_nobody_is_left_out()
    {
        var rig = new BalancingRig(10);
        for (var i = 0; i < 8; i++)
        {
            rig.Fail(rig[i], 5);
        }

        Assert.Equal(10, rig.Build().InUse.Count);
    }

    [Theory]
    [InlineData(1, 50, 1)]
    [InlineData(2, 50, 1)]
    [InlineData(3, 50, 2)]
    [InlineData(3, 10, 2)]
    [InlineData(3, 0, 3)]
    public void A_small_service_may_lose_one_but_never_its_last(int count, int maxPercent, int used)
    {
        var rig = new BalancingRig(count, o =>
        {
            o.Ejection.MaxEjectedPercent = maxPercent;
            o.Ejection.PanicThresholdPercent = 0;
        });
        rig.Fail(rig[0], 5);

        Assert.Equal(used, rig.Build().InUse.Count);
    }

    [Fact]
    public void It_can_be_turned_off()
    {
        var rig = new BalancingRig(3, o => o.Ejection.Enabled = false);
        rig.Fail(rig[1], 100);

        Assert.False(rig[1].IsEjected);
        Assert.Equal(0, rig.Changes);
    }

    private static TimeSpan Remaining(BalancingRig rig, InstanceState instance)
        => TimeSpan.FromTicks(instance.Health.EjectedUntil - rig.Clock.GetTimestamp());
}
