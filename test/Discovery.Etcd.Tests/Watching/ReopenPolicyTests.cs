using Discovery.Etcd.Watching;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>How soon, and for how long, the next stream is tried.</summary>
public sealed class ReopenPolicyTests
{
    private readonly ReopenPolicy _policy = new(TimeSpan.FromSeconds(1));

    [Fact]
    public void A_silent_etcd_gets_more_time_and_fewer_streams()
    {
        var limits = new List<double> { _policy.OpenLimit.TotalSeconds };
        var pauses = new List<TimeSpan>();
        for (var i = 0; i < 10; i++)
        {
            _policy.Ended(StreamEndKind.Silent, wasOpen: false);
            limits.Add(_policy.OpenLimit.TotalSeconds);
            pauses.Add(_policy.Pause);
        }

        Assert.Equal([1, 2, 4, 10, 20, 20], limits.Take(6));
        Assert.Equal(TimeSpan.Zero, pauses[0]);
        Assert.InRange(pauses[1], TimeSpan.FromMilliseconds(375), TimeSpan.FromMilliseconds(625));
        Assert.InRange(pauses[^1], TimeSpan.FromSeconds(3.75), TimeSpan.FromSeconds(6.25));

        _policy.Settled();
        Assert.Equal(TimeSpan.FromSeconds(1), _policy.OpenLimit);
    }

    [Fact]
    public void The_token_is_doubted_with_every_doubling_of_the_silences()
    {
        var doubted = Enumerable.Range(1, 9).Where(_ =>
        {
            _policy.Ended(StreamEndKind.Silent, wasOpen: false);
            return _policy.WantsFreshToken;
        });

        Assert.Equal([2, 4, 8], doubted);
    }

    [Theory]
    [InlineData(StreamEndKind.Broken)]
    [InlineData(StreamEndKind.Unavailable)]
    public void A_refused_connection_is_tried_again_within_a_second_and_gets_no_more_time(object kind)
    {
        for (var i = 0; i < 20; i++)
        {
            _policy.Ended((StreamEndKind)kind, wasOpen: false);
            Assert.InRange(_policy.Pause, TimeSpan.Zero, TimeSpan.FromMilliseconds(625));
        }

        Assert.Equal(TimeSpan.FromSeconds(1), _policy.OpenLimit);
    }

    [Fact]
    public void A_refusal_that_a_person_must_heal_is_repeated_ever_less_often()
    {
        for (var i = 0; i < 20; i++)
        {
            _policy.Ended(StreamEndKind.Rejected, wasOpen: false);
        }

        Assert.InRange(_policy.Pause, TimeSpan.FromSeconds(22.5), TimeSpan.FromSeconds(37.5));
    }

    [Fact]
    public void A_stream_that_worked_is_replaced_at_once()
    {
        _policy.Ended(StreamEndKind.Silent, wasOpen: false);
        _policy.Ended(StreamEndKind.Silent, wasOpen: false);
        _policy.Settled();
        _policy.Ended(StreamEndKind.Silent, wasOpen: true);

        Assert.Equal(TimeSpan.Zero, _policy.Pause);
        Assert.Equal(TimeSpan.FromSeconds(1), _policy.OpenLimit);
    }

    [Fact]
    public void A_planned_end_costs_no_pause_and_hides_no_failure()
    {
        _policy.Ended(StreamEndKind.Broken, wasOpen: false);
        _policy.Ended(StreamEndKind.Planned, wasOpen: false);
        Assert.Equal(TimeSpan.Zero, _policy.Pause);

        _policy.Ended(StreamEndKind.Broken, wasOpen: false);
        Assert.NotEqual(TimeSpan.Zero, _policy.Pause);
    }

    [Fact]
    public void Another_connection_is_wanted_after_two_refusals_and_then_ever_more_rarely()
    {
        var wanted = new List<int>();
        for (var i = 1; i <= 100; i++)
        {
            _policy.Ended(StreamEndKind.Unavailable, wasOpen: false);
            if (_policy.WantsFreshConnection)
            {
                wanted.Add(i);
            }
        }

        Assert.Equal([2, 4, 8, 16, 32, 64, 96], wanted);
    }
}
