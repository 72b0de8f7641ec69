using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;

namespace Discovery.Etcd.Tests.Calls;

public sealed class UnansweredCallsTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public void Each_call_is_taken_over_when_its_own_time_is_up_and_none_that_has_ended()
    {
        using var calls = new UnansweredCalls(Limit, _clock);
        var all = new List<Call>();
        for (var i = 0; i < 10; i++)
        {
            all.Add(Send(calls));
            _clock.Advance(Limit / 10);
        }

        // The first had its time with the last step.
        Assert.Equal(Limit, Assert.NotNull(all[0].TakenOverAfter));
        Assert.False(calls.Remove(all[0]));
        int[] ended = [1, 4, 5, 9];
        Assert.All(ended, i => Assert.True(calls.Remove(all[i])));
        for (var i = 0; i < 20; i++)
        {
            _clock.Advance(Limit / 10);
        }

        Assert.All(ended, i => Assert.Null(all[i].TakenOverAfter));
        Assert.All(all.Where((_, i) => !ended.Contains(i)), c => Assert.Equal(Limit, c.TakenOverAfter));
    }

    [Fact]
    public void A_call_that_is_sent_after_all_others_ended_has_its_whole_time_too()
    {
        using var calls = new UnansweredCalls(Limit, _clock);
        var first = Send(calls);
        _clock.Advance(Limit / 2);
        Assert.True(calls.Remove(first));
        var second = Send(calls);
        _clock.Advance(Limit * 0.9);
        Assert.Null(second.TakenOverAfter);
        _clock.Advance(Limit / 10);
        Assert.Equal(Limit, second.TakenOverAfter);

        // The timer was at rest.
        _clock.Advance(Limit * 5);
        var third = Send(calls);
        _clock.Advance(Limit);
        Assert.Equal(Limit, third.TakenOverAfter);
    }

    [Fact]
    public void The_end_takes_all_over_at_once_and_lets_none_in()
    {
        var calls = new UnansweredCalls(Limit, _clock);
        List<Call> all = [Send(calls), Send(calls), Send(calls)];
        Assert.True(calls.Remove(all[1]));

        calls.Dispose();

        Assert.Equal([TimeSpan.Zero, null, TimeSpan.Zero], all.Select(c => c.TakenOverAfter));
        Assert.False(calls.Add(new Call(_clock)));
        _clock.Advance(Limit * 2);
        Assert.Null(all[1].TakenOverAfter);
    }

    private Call Send(UnansweredCalls calls)
    {
        var call = new Call(_clock);
        Assert.True(calls.Add(call));
        return call;
    }

    private sealed class Call(FakeTimeProvider clock) : UnansweredCall(
        new EtcdEndpoint(new Uri("http://127.0.0.1:1"), _ => throw new NotSupportedException(), clock), token: null, clock.GetTimestamp(), term: 0)
    {
        public TimeSpan? TakenOverAfter { get; private set; }

        public override void TakeOver()
        {
            Assert.Null(TakenOverAfter);
            TakenOverAfter = clock.GetElapsedTime(SentAt);
        }
    }
}
