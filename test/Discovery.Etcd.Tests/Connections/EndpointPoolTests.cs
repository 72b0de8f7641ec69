using Discovery.Etcd.Calls;
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
        var endpoint = new EndpointHealth(_clock);
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
    public void The_status_of_an_endpoint_says_when_it_was_used_and_answered_and_why_it_failed()
    {
        using var pool = Create(1);
        EtcdEndpointStatus Status() => Assert.Single(pool.GetStatus([pool.All[0].Address]));
        Assert.Equal((null, null, null), (Status().SinceFirstUse, Status().SinceAnswer, Status().Failure));

        pool.Choose([]);
        _clock.Advance(TimeSpan.FromSeconds(1));
        pool.Choose([]).CallHealth.Failed(new CallFailedException(Grpc.Core.StatusCode.Unavailable, "Connection refused", CallFailureKind.NotConnected), "Connection refused");
        Assert.Equal((TimeSpan.FromSeconds(1), null, "Connection refused"), (Status().SinceFirstUse, Status().SinceAnswer, Status().Failure));

        pool.Choose([]).CallHealth.Succeeded();
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(2), null), (Status().SinceFirstUse, Status().SinceAnswer, Status().Failure));

        pool.Choose([]).CallHealth.Failed();
        Assert.Equal((TimeSpan.FromSeconds(2), null), (Status().SinceAnswer, Status().Failure));
    }

    [Fact]
    public void Calls_that_fail_together_count_as_one_failure()
    {
        var endpoint = new EndpointHealth(_clock);
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
        pool.Choose([]).CallHealth.Failed();

        Assert.Equal(pool.All[1], pool.Choose([]));
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(pool.All[1], pool.Choose([]));
    }

    [Fact]
    public void It_tells_which_endpoint_serves_what_and_what_is_known_against_each()
    {
        using var pool = Create(3);
        pool.All[0].CallHealth.Failed();
        pool.Choose([]);
        pool.Choose([], CallKind.Stream);
        pool.All[2].StreamHealth.Failed();
        pool.All[2].Cluster.BelongsElsewhere(7, _clock.GetTimestamp() + 1);

        Uri[] addresses = [pool.All[2].Address, pool.All[0].Address, pool.All[1].Address];
        var status = pool.GetStatus(addresses);

        Assert.Equal(addresses, status.Select(static s => s.Endpoint));
        Assert.Equal([false, false, true], status.Select(static s => s.ServesCalls));
        Assert.Equal([false, true, false], status.Select(static s => s.ServesStreams));
        Assert.Equal([true, true, false], status.Select(static s => s.PauseLeft > TimeSpan.Zero));
        Assert.Equal([true, false, false], status.Select(static s => s.IsForeign));
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
                _clock.Advance(pool.All[index].CallHealth.PauseLeft);
                pool.All[index].CallHealth.Failed();
            }
        }

        Assert.Equal(pool.All[2], pool.Choose([]));
        Assert.Equal(pool.All[0], pool.Choose([pool.All[2]]));
        Assert.Equal(pool.All[1], pool.Choose([pool.All[2], pool.All[0]]));
        Assert.NotNull(pool.Choose(pool.All));
    }

    [Fact]
    public void A_client_returns_to_its_first_endpoint_some_time_later()
    {
        using var pool = Create(3);
        pool.Choose([]).CallHealth.Failed();
        pool.All[0].StreamHealth.Failed();
        Assert.Equal((pool.All[1], pool.All[1]), (pool.Choose([]), pool.Choose([], CallKind.Stream)));

        _clock.Advance(TimeSpan.FromMinutes(30));
        Assert.Equal((pool.All[1], pool.All[1]), (pool.Choose([]), pool.Choose([], CallKind.Stream)));
        Assert.False(pool.IsReturnDue(pool.All[1]));
        _clock.Advance(TimeSpan.FromMinutes(30));
        Assert.True(pool.IsReturnDue(pool.All[1]));
        Assert.Equal((pool.All[0], pool.All[0]), (pool.Choose([]), pool.Choose([], CallKind.Stream)));
        Assert.False(pool.IsReturnDue(pool.All[0]));
    }

    [Fact]
    public void Clients_of_a_dead_member_spread_over_the_others_and_come_back()
    {
        var random = new Random(5);
        var pools = Enumerable.Range(0, 300).Select(_ => Create(3, random)).ToList();
        var before = Spread(pools);
        Assert.All(before, share => Assert.InRange(share, 80, 120));
        foreach (var pool in pools)
        {
            pool.All.First(e => e.Name == "http://m1:2379").StreamHealth.Failed();
        }

        var during = Spread(pools);
        Assert.Equal(0, during[0]);
        Assert.All(during[1..], share => Assert.InRange(share, 135, 165));
        _clock.Advance(TimeSpan.FromHours(1));
        var after = Spread(pools);
        Console.WriteLine($"streams of 300 clients on three members: {string.Join(", ", before)}; one dead: {string.Join(", ", during)}; an hour later: {string.Join(", ", after)}");
        Assert.Equal(before, after);

        static int[] Spread(IEnumerable<EndpointPool> pools) =>
            [.. pools.GroupBy(p => p.Choose([], CallKind.Stream).Name).ToDictionary(g => g.Key, g => g.Count()) is var counts
                ? Enumerable.Range(1, 3).Select(i => counts.GetValueOrDefault($"http://m{i}:2379"))
                : []];
    }

    [Fact]
    public void Streams_and_calls_fail_apart()
    {
        using var pool = Create(2);
        pool.All[0].StreamHealth.Failed();
        pool.All[0].CallHealth.Succeeded();

        Assert.Equal((pool.All[0], pool.All[1]), (pool.Choose([]), pool.Choose([], CallKind.Stream)));
    }

    private EndpointPool Create(int count, Random? random = null) => new(
        Enumerable.Range(1, count).Select(i => new EtcdEndpoint(new Uri($"http://m{i}:2379"), _ => GrpcChannel.ForAddress("http://localhost"), _clock)),
        _clock,
        random);
}
