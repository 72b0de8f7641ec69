using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Tests.Balancing;
using Microsoft.Extensions.Logging;

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

    [Fact]
    public void Calls_that_run_out_of_time_one_after_the_other_eject_an_instance()
    {
        var rig = new BalancingRig(3);
        rig.Fail(rig[1], 4, CallOutcome.TimedOut);
        Assert.False(rig[1].IsEjected);

        rig.Fail(rig[1], 1, CallOutcome.TimedOut);

        Assert.True(rig[1].IsEjected);
        Assert.Equal(0, rig[1].FailureRate);
    }

    [Fact]
    public void One_pause_in_which_many_calls_run_out_of_time_does_not()
    {
        var rig = new BalancingRig(3);
        var calls = Enumerable.Range(0, 20).Select(_ => rig[1].OnCallStarted()).ToList();
        rig.Clock.Advance(TimeSpan.FromSeconds(1));
        calls.ForEach(c => rig[1].OnCallEnded(c, CallOutcome.TimedOut));
        Assert.False(rig[1].IsEjected);

        rig.Call(rig[1]);
        rig.Fail(rig[1], 4, CallOutcome.TimedOut);

        Assert.False(rig[1].IsEjected);
    }

    [Fact]
    public void Pick_first_moves_on_from_an_instance_that_hangs()
    {
        var rig = new BalancingRig(2);
        for (var i = 0; i < 5; i++)
        {
            Assert.Same(rig[0], rig.Build("PickFirst").Pick(default));
            rig.Fail(rig[0], 1, CallOutcome.TimedOut);
        }

        Assert.Same(rig[1], rig.Build("PickFirst").Pick(default));
    }

    [Theory]
    [InlineData((int)CallOutcome.Overloaded)]
    [InlineData((int)CallOutcome.Refused)]
    [InlineData((int)CallOutcome.NotFound)]
    [InlineData((int)CallOutcome.UnknownError)]
    public void Errors_of_business_eject_nobody(int outcome)
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 400; i++)
        {
            rig.Fail(rig[1], 1, i % 40 == 0 ? CallOutcome.Success : (CallOutcome)outcome);
        }

        Assert.Equal(0, rig.Changes);
        Assert.Equal(0, rig[1].FailureRate);
    }

    [Fact]
    public void One_that_does_not_serve_what_others_serve_is_ejected()
    {
        var rig = new BalancingRig(3);
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://svc/greeter/hello");
        for (var i = 0; i < 5; i++)
        {
            Assert.False(rig[1].IsEjected);
            rig[1].Context.Refused.OnRefused(request, rig[1]);
            rig.Fail(rig[1], 1, CallOutcome.Unimplemented);
            rig.Call(rig[0]);
            rig[0].Context.Refused.OnServed(request, rig[0]);
        }

        rig.Fail(rig[1], 1, CallOutcome.Unimplemented);

        Assert.True(rig[1].IsEjected);
    }

    [Fact]
    public void One_that_serves_nothing_is_ejected_after_a_while_though_no_two_requests_are_alike()
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 20; i++)
        {
            Assert.False(rig[1].IsEjected);
            rig.Call(rig[0]);
            rig.Call(rig[2]);
            rig.Fail(rig[1], 1, CallOutcome.Unimplemented);
        }

        Assert.True(rig[1].IsEjected);
    }

    [Fact]
    public void A_method_that_nobody_serves_ejects_nobody_while_others_are_served()
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 300; i++)
        {
            rig.Call(rig[i % 3], 10, i % 20 == 0 ? CallOutcome.Success : CallOutcome.Unimplemented);
        }

        Assert.All(rig.Instances, static i => Assert.False(i.IsEjected));
    }

    [Theory]
    [InlineData((int)CallOutcome.NotFound)]
    [InlineData((int)CallOutcome.Denied)]
    [InlineData((int)CallOutcome.Redirected)]
    [InlineData((int)CallOutcome.Unimplemented)]
    public void Several_that_refuse_everything_do_not_pass_for_instances_by_each_other(int outcome)
    {
        var rig = new BalancingRig(4);
        for (var i = 0; i < 40; i++)
        {
            rig.Call(rig[0]);
            rig.Call(rig[1]);
            rig.Fail(rig[2], 1, (CallOutcome)outcome);
            rig.Fail(rig[3], 1, (CallOutcome)outcome);
        }

        Assert.True(rig[2].IsEjected);
        Assert.True(rig[3].IsEjected);
        Assert.False(rig[0].IsEjected || rig[1].IsEjected);
    }

    [Fact]
    public void One_that_answers_nothing_but_404_while_others_serve_is_ejected_after_a_while()
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 20; i++)
        {
            Assert.False(rig[1].IsEjected);
            rig.Call(rig[0]);
            rig.Call(rig[2]);
            rig.Fail(rig[1], 1, CallOutcome.NotFound);
        }

        Assert.True(rig[1].IsEjected);
    }

    [Fact]
    public void Where_others_answer_404_as_well_it_ejects_nobody()
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 60; i++)
        {
            rig.Call(rig[0], 10, i % 5 == 0 ? CallOutcome.Success : CallOutcome.NotFound);
            rig.Call(rig[2], 10, i % 5 == 0 ? CallOutcome.Success : CallOutcome.NotFound);
            rig.Fail(rig[1], 1, CallOutcome.NotFound);
        }

        Assert.False(rig[1].IsEjected);
    }

    [Theory]
    [InlineData((int)CallOutcome.Unimplemented, 1)]
    [InlineData((int)CallOutcome.WrongServer, 1)]
    [InlineData((int)CallOutcome.NotFound, 3)]
    public void What_a_stranger_answers_counts_as_load(int outcome, int answers)
    {
        var rig = new BalancingRig(2, o => o.Ejection.Enabled = false);
        for (var i = 0; i < answers; i++)
        {
            rig.Fail(rig[1], 1, (CallOutcome)outcome);
            rig.Call(rig[0]);
            rig.Call(rig[0]);
        }

        rig.Fail(rig[1], 1, (CallOutcome)outcome);

        Assert.True(rig[1].Latency > 2 * rig[0].Latency, $"{rig[1].Latency}");
    }

    [Fact]
    public void UNIMPLEMENTED_counts_as_load_from_the_very_first_answer()
    {
        var rig = new BalancingRig(2);

        rig.Fail(rig[1], 1, CallOutcome.Unimplemented);

        Assert.True(rig[1].Latency >= TimeSpan.FromMilliseconds(50), $"{rig[1].Latency}");
    }

    [Fact]
    public void A_method_that_nobody_serves_ejects_nobody()
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 60; i++)
        {
            rig.Fail(rig[i % 3], 1, CallOutcome.Unimplemented);
        }

        Assert.Equal(0, rig.Changes);
    }

    [Theory]
    [InlineData((int)CallOutcome.Refused)]
    [InlineData((int)CallOutcome.NotFound)]
    [InlineData((int)CallOutcome.Unimplemented)]
    [InlineData((int)CallOutcome.WrongServer)]
    [InlineData((int)CallOutcome.Overloaded)]
    [InlineData((int)CallOutcome.UnknownError)]
    public void A_quick_refusal_is_no_speed(int outcome)
    {
        var rig = new BalancingRig(3, o => o.Ejection.Enabled = false);
        for (var i = 0; i < 3; i++)
        {
            rig.Call(rig[0], 200);
            rig.Call(rig[1], 200);
            rig.Call(rig[2], 200);
        }

        var before = rig[2].Latency;
        rig.Fail(rig[2], 20, (CallOutcome)outcome);

        Assert.True(rig[2].Latency >= before * 0.99, $"{rig[2].Latency}");
    }

    [Fact]
    public void The_log_says_once_who_is_ejected_and_why_and_only_of_those_who_are()
    {
        using var log = new LogRecorder();
        var rig = new BalancingRig(10, log: log.CreateLogger("test"));
        for (var i = 0; i < 6; i++)
        {
            rig.Fail(rig[i], 5);
        }

        rig.Build();
        rig.Build();

        Assert.Equal(2, log.Lines.Count);
        Assert.True(log.Has(LogLevel.Warning, "5 failing instances are ejected", "(5 failures in a row)"), string.Join('\n', log.Lines));
        Assert.True(log.Has(LogLevel.Warning, "1 failing instances are called nevertheless, as no more than 50 % may be ejected"));
        Assert.Equal((5L, 1L), (rig[0].Context.Ejections.Enforced, rig[0].Context.Ejections.NotEnforced));
    }

    [Fact]
    public void Successes_on_many_threads_shorten_the_back_off_by_one_step()
    {
        for (var round = 0; round < 300; round++)
        {
            var rig = new BalancingRig(3);
            rig.Fail(rig[1], 5);
            rig.Clock.Advance(TimeSpan.FromSeconds(11));

            Parallel.For(0, 4, _ => rig[1].OnCallEnded(rig[1].OnCallStarted(), CallOutcome.Success));

            rig.Fail(rig[1], 5);
            Assert.InRange(Remaining(rig, rig[1]).TotalSeconds, 4.4, 5.6);
        }
    }

    private static TimeSpan Remaining(BalancingRig rig, InstanceState instance)
        => TimeSpan.FromTicks(instance.Health.EjectedUntil - rig.Clock.GetTimestamp());
}
