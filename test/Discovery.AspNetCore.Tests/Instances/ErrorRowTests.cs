using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Tests.Balancing;

namespace Discovery.AspNetCore.Tests.Instances;

/// <summary>Exceptions in the application's code: HTTP 500, INTERNAL and UNKNOWN.</summary>
public class ErrorRowTests
{
    [Fact]
    public void Five_in_a_row_eject_while_others_serve_the_same()
    {
        var rig = Rig(3);
        Throw(rig, rig[1], 4);
        Serve(rig, rig[0]);
        Assert.False(rig[1].IsEjected);

        Throw(rig, rig[1]);

        Assert.True(rig[1].IsEjected);
        Assert.Equal("5 errors in a row (500, INTERNAL or UNKNOWN), and others serve", rig[1].Health.Reason);
    }

    [Fact]
    public void It_takes_some_more_where_the_others_have_hardly_answered_yet()
    {
        var rig = new BalancingRig(3);
        for (var i = 0; i < 7; i++)
        {
            Assert.False(rig[1].IsEjected);
            Serve(rig, rig[0]);
            Serve(rig, rig[2]);
            Throw(rig, rig[1]);
        }

        Assert.True(rig[1].IsEjected);
    }

    [Fact]
    public void Those_that_every_instance_gives_eject_nobody()
    {
        var rig = Rig(3);
        for (var i = 0; i < 300; i++)
        {
            Throw(rig, rig[i % 3], path: $"users/{i}");
        }

        Assert.Equal(0, rig.Changes);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void They_eject_nobody_while_others_serve_something_else_or_served_before(bool before, bool something)
    {
        var rig = Rig(3);
        if (before)
        {
            Throw(rig, rig[1]);
            Serve(rig, rig[0]);
            rig.Call(rig[1]);
        }

        rig.Clock.Advance(TimeSpan.FromSeconds(1));
        Throw(rig, rig[1], 49);
        if (something)
        {
            Serve(rig, rig[0], path: "other");
        }

        Throw(rig, rig[1]);

        Assert.False(rig[1].IsEjected);
    }

    /// <summary>Paths with ids: no two instances are asked for the same.</summary>
    [Fact]
    public void Different_requests_that_all_fail_eject_while_none_of_the_others_fails()
    {
        var rig = Rig(3);
        for (var i = 0; i < 5; i++)
        {
            Assert.False(rig[1].IsEjected);
            Serve(rig, rig[0], path: $"users/{3 * i}");
            Serve(rig, rig[2], path: $"users/{(3 * i) + 1}");
            Throw(rig, rig[1], path: $"users/{(3 * i) + 2}");
        }

        Assert.True(rig[1].IsEjected);
    }

    /// <summary>A body decides whether it fails, and the path is the same.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(10)]
    public void Where_a_share_of_the_same_requests_fails_everywhere_nobody_is_ejected(int every)
    {
        var random = new Random(1);
        var rig = Rig(3);
        for (var i = 0; i < 20_000; i++)
        {
            var instance = rig[random.Next(3)];
            if (random.Next(every) == 0)
            {
                Throw(rig, instance, path: every == 3 ? $"users/{i}" : "hello");
            }
            else
            {
                Serve(rig, instance, path: every == 3 ? $"users/{i}" : "hello");
            }
        }

        Assert.All(rig.Instances, static i => Assert.False(i.Health.EjectedUntil > 0, i.Health.Reason));
    }

    [Fact]
    public void One_that_always_fails_is_ejected_though_a_tenth_fails_everywhere()
    {
        var random = new Random(1);
        var rig = Rig(3);
        for (var i = 0; i < 300 && !rig[1].IsEjected; i++)
        {
            if (i % 3 == 1 || random.Next(10) == 0)
            {
                Throw(rig, rig[i % 3]);
            }
            else
            {
                Serve(rig, rig[i % 3]);
            }
        }

        Assert.True(rig[1].IsEjected);
        Assert.False(rig[0].Health.EjectedUntil > 0 || rig[2].Health.EjectedUntil > 0);
        Assert.InRange(rig[1].Calls, 105, 140);
    }

    [Fact]
    public void One_that_answers_well_in_between_is_ejected_by_its_share_of_errors()
    {
        var rig = Rig(3);
        for (var i = 0; i < 60 && !rig[1].IsEjected; i++)
        {
            Serve(rig, rig[0]);
            Serve(rig, rig[2]);
            Throw(rig, rig[1], 2);
            Serve(rig, rig[0]);
            Throw(rig, rig[1], 1);
            Serve(rig, rig[1]);
        }

        Assert.True(rig[1].IsEjected);
        Assert.Contains("of its last calls ended with an error", rig[1].Health.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 200, false)]
    [InlineData(2, 200, false)]
    [InlineData(3, 20, true)]
    [InlineData(20, 5, true)]
    public void Those_of_a_hash_key_count_once_and_few_keys_take_a_long_row(int keys, int calls, bool isEjected)
    {
        var rig = Rig(3);
        for (var i = 0; i < calls; i++)
        {
            Assert.False(rig[1].IsEjected);
            Serve(rig, rig[0]);
            Throw(rig, rig[1], key: $"key-{i % keys}");
        }

        Assert.Equal(isEjected, rig[1].IsEjected);
    }

    [Fact]
    public void A_key_that_fails_between_others_that_do_not_is_the_keys_fault()
    {
        var rig = Rig(3);
        for (var i = 0; i < 200; i++)
        {
            Serve(rig, rig[0]);
            Throw(rig, rig[1], 3, key: "bad");
            Serve(rig, rig[1]);
        }

        Assert.False(rig[1].Health.EjectedUntil > 0);
    }

    [Fact]
    public void Two_of_three_that_fail_are_found_by_the_one_that_does_not()
    {
        var rig = Rig(3);
        for (var i = 0; i < 20; i++)
        {
            Serve(rig, rig[0]);
            Throw(rig, rig[1]);
            Throw(rig, rig[2]);
        }

        Assert.True(rig[1].IsEjected);
        Assert.True(rig[2].IsEjected);
        Assert.False(rig[0].IsEjected);
    }

    [Theory]
    [InlineData(1, 80)]
    [InlineData(10, 20)]
    public void Where_nobody_else_is_asked_a_long_row_has_another_one_asked(int paths, int calls)
    {
        var rig = Rig(2);
        for (var i = 0; i < calls; i++)
        {
            Assert.Same(rig[0], rig.Build("PickFirst").Pick(default));
            Throw(rig, rig[0], path: $"users/{i % paths}");
        }

        Assert.Same(rig[1], rig.Build("PickFirst").Pick(default));
    }

    [Fact]
    public void After_an_ejection_two_are_enough()
    {
        var rig = Rig(3);
        Throw(rig, rig[1], 4);
        Serve(rig, rig[0]);
        Throw(rig, rig[1]);
        rig.Clock.Advance(TimeSpan.FromSeconds(6));
        Assert.False(rig[1].IsEjected);

        Throw(rig, rig[1]);
        Serve(rig, rig[0]);
        Assert.False(rig[1].IsEjected);
        Throw(rig, rig[1]);

        Assert.True(rig[1].IsEjected);
    }

    [Fact]
    public void They_count_as_load_and_one_that_gives_them_is_not_taken_for_idle()
    {
        var rig = new BalancingRig(2);
        rig.Call(rig[0]);
        rig.Call(rig[0]);
        var reporting = rig[1].OnCallStarted();
        rig[1].OnLoadReport(0);
        rig[1].OnCallEnded(reporting, CallOutcome.Success);
        Assert.True(rig[1].HasReportedSince(0));

        Throw(rig, rig[1]);

        Assert.False(rig[1].HasReportedSince(0));
        Assert.True(rig[1].Latency > 2 * rig[0].Latency, $"{rig[1].Latency}");
    }

    /// <summary>Instances that have answered well for a while.</summary>
    private static BalancingRig Rig(int count)
    {
        var rig = new BalancingRig(count);
        foreach (var instance in rig.Instances)
        {
            for (var i = 0; i < 100; i++)
            {
                rig.Call(instance);
            }
        }

        rig.Clock.Advance(TimeSpan.FromSeconds(1));
        return rig;
    }

    private static void Throw(BalancingRig rig, InstanceState instance, int times = 1, string? key = null, string path = "hello")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://svc/greeter/{path}");
        for (var i = 0; i < times; i++)
        {
            var call = instance.OnCallStarted();
            rig.Clock.Advance(TimeSpan.FromMilliseconds(1));
            OutcomeRules.OnThrown(RefusedRequests.IdOf(request), instance, key, call.StartedAt);
            instance.OnCallEnded(call, CallOutcome.UnknownError);
        }
    }

    private static void Serve(BalancingRig rig, InstanceState instance, string path = "hello")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://svc/greeter/{path}");
        rig.Call(instance);
        instance.Context.Thrown.OnServed(request, instance);
    }
}
