using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Tests.Balancing;

namespace Discovery.AspNetCore.Tests.Instances;

/// <summary>Instances that say with their answers how much they have to do, under the default policy.</summary>
public sealed class ReportedLoadTests
{
    private const int Busy = 5;

    private readonly BalancingRig _rig = new(5);

    public ReportedLoadTests()
    {
        foreach (var instance in Enumerable.Repeat(_rig.Instances, 4).SelectMany(static i => i))
        {
            Answer(instance, Busy);
        }
    }

    [Fact]
    public void One_that_has_little_to_do_gets_the_next_call_and_no_more()
    {
        var balancer = _rig.Build("LeastLoad");
        Answer(_rig[2], 1);

        Assert.Same(_rig[2], balancer.Pick(default));
        Assert.All(_rig.Count(balancer, 1000), static c => Assert.InRange(c, 100, 300));
    }

    [Fact]
    public void The_last_one_that_said_so_goes_first()
    {
        var balancer = _rig.Build("LeastLoad");
        Answer(_rig[2], 1);
        Answer(_rig[4], 1);
        Answer(_rig[0], Busy);

        Assert.Equal([_rig[4], _rig[2]], [balancer.Pick(default), balancer.Pick(default)]);
    }

    [Fact]
    public void What_is_as_usual_says_nothing()
    {
        Answer(_rig[2], Busy);

        ExpectChance();
    }

    [Fact]
    public void One_that_was_sent_a_call_since_has_more_to_do_than_it_said()
    {
        Answer(_rig[2], 1);
        _rig[2].OnCallStarted();

        Assert.NotSame(_rig[2], _rig.Build("LeastLoad").Pick(default));
    }

    [Fact]
    public void What_was_said_long_ago_counts_no_more()
    {
        Answer(_rig[2], 1);
        _rig.Clock.Advance(TimeSpan.FromSeconds(10));

        ExpectChance();
    }

    [Fact]
    public void One_that_fails_calls_has_little_to_do_for_a_bad_reason()
    {
        _rig.Fail(_rig[2]);
        Answer(_rig[2], 1);

        Assert.NotSame(_rig[2], _rig.Build("LeastLoad").Pick(default));
    }

    [Fact]
    public void One_that_left_is_not_called()
    {
        Answer(_rig[2], 1);
        var left = _rig[2];
        _rig.Instances.Remove(left);

        var balancer = _rig.Build("LeastLoad");

        Assert.DoesNotContain(left, Enumerable.Range(0, 100).Select(_ => balancer.Pick(default)));
    }

    [Fact]
    public void One_caller_does_not_stay_with_the_first_idle_instance_that_it_meets()
    {
        var rig = new BalancingRig(3);
        var balancer = rig.Build("LeastLoad");
        var counts = new int[3];
        for (var i = 0; i < 600; i++)
        {
            var instance = balancer.Pick(default)!;
            counts[rig.Instances.IndexOf(instance)]++;
            Answer(instance, instance == rig[0] ? 40 : 0, rig);
        }

        Assert.InRange(counts[0], 1, 120);
        Assert.All(counts[1..], static c => Assert.InRange(c, 180, 420));
    }

    [Fact]
    public void Idle_instances_that_say_so_share_evenly()
    {
        var rig = new BalancingRig(3);
        var balancer = rig.Build("LeastLoad");
        var counts = new int[3];
        for (var i = 0; i < 3000; i++)
        {
            var instance = balancer.Pick(default)!;
            counts[rig.Instances.IndexOf(instance)]++;
            Answer(instance, 0, rig);
        }

        Assert.All(counts, static c => Assert.InRange(c, 800, 1200));
    }

    /// <summary>The seed's first pick is another one, so this tells whether what was said decided.</summary>
    private void ExpectChance() => Assert.NotSame(_rig[2], _rig.Build("LeastLoad").Pick(default));

    private void Answer(InstanceState instance, double inFlight, BalancingRig? rig = null)
    {
        var call = instance.OnCallStarted();
        (rig ?? _rig).Clock.Advance(TimeSpan.FromMilliseconds(10));
        call = instance.OnHeaders(call);
        instance.OnLoadReport(inFlight);
        instance.OnCallEnded(call, CallOutcome.Success);
    }
}
