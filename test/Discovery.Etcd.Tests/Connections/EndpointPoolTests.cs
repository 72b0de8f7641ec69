using Discovery.Etcd.Connections;
using Grpc.Net.Client;

namespace Discovery.Etcd.Tests.Connections;

public sealed class EndpointPoolTests
{
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public void The_endpoint_in_use_is_kept_while_it_works()
    {
        using var pool = Create(3);

        Assert.All(Enumerable.Range(0, 10), _ => Assert.Equal(pool.All[0], pool.Choose([])));
    }

    [Fact]
    public void A_failed_endpoint_is_left_alone_for_a_growing_while_and_then_tried_again()
    {
        using var endpoint = Create(1).All[0];
        var pauses = new List<TimeSpan>();
        for (var i = 0; i < 12; i++)
        {
            endpoint.Failed();
            pauses.Add(endpoint.PauseLeft);
            _clock.Advance(endpoint.PauseLeft);
            Assert.Equal(TimeSpan.Zero, endpoint.PauseLeft);
        }

        Assert.InRange(pauses[0], TimeSpan.FromMilliseconds(180), TimeSpan.FromMilliseconds(320));
        Assert.InRange(pauses[^1], TimeSpan.FromSeconds(11), TimeSpan.FromSeconds(19));
        Assert.True(pauses[4] > pauses[0] * 2);
        endpoint.Succeeded();
        endpoint.Failed();
        Assert.InRange(endpoint.PauseLeft, TimeSpan.FromMilliseconds(180), TimeSpan.FromMilliseconds(320));
    }

    [Fact]
    public void Calls_that_fail_together_count_as_one_failure()
    {
        using var endpoint = Create(1).All[0];
        for (var i = 0; i < 100; i++)
        {
            endpoint.Failed();
        }

        Assert.InRange(endpoint.PauseLeft, TimeSpan.FromMilliseconds(180), TimeSpan.FromMilliseconds(320));
    }

    [Fact]
    public void The_next_endpoint_is_used_while_one_is_left_alone_and_stays_in_use_afterwards()
    {
        using var pool = Create(3);
        pool.Choose([]).Failed();

        Assert.Equal(pool.All[1], pool.Choose([]));
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(pool.All[1], pool.Choose([]));
    }

    [Fact]
    public void When_all_failed_the_one_whose_pause_ends_first_is_tried_and_each_once_in_a_round()
    {
        using var pool = Create(3);
        foreach (var (index, failures) in ((int, int)[])[(1, 8), (0, 4), (2, 1)])
        {
            // The more failures, the longer the pause; jitter does not reach from one of these to the next.
            for (var i = 1; i <= failures; i++)
            {
                _clock.Advance(pool.All[index].PauseLeft);
                pool.All[index].Failed();
            }
        }

        Assert.Equal(pool.All[2], pool.Choose([]));
        Assert.Equal(pool.All[0], pool.Choose([pool.All[2]]));
        Assert.Equal(pool.All[1], pool.Choose([pool.All[2], pool.All[0]]));
        Assert.NotNull(pool.Choose(pool.All));
    }

    private EndpointPool Create(int count) => new(
        [.. Enumerable.Range(1, count).Select(i => new EtcdEndpoint(new Uri($"http://m{i}:2379"), () => GrpcChannel.ForAddress("http://localhost"), _clock))],
        start: 0);
}
