namespace Discovery.IntegrationTests.TestKit;

/// <summary>The clock that counts armed timers.</summary>
public sealed class ObservedTimeProviderTests
{
    private readonly ObservedTimeProvider _clock = new();

    [Fact]
    public async Task Counts_what_sleeps()
    {
        using var stop = new CancellationTokenSource();
        var first = Task.Delay(TimeSpan.FromSeconds(1), _clock);
        var second = Task.Delay(TimeSpan.FromSeconds(2), _clock, stop.Token);
        Assert.Equal(2, _clock.ArmedTimers);

        _clock.Advance(TimeSpan.FromSeconds(1));
        await first;
        Assert.Equal(1, _clock.ArmedTimers);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.Equal(0, _clock.ArmedTimers);
    }

    [Fact]
    public void Counts_a_periodic_timer_until_it_ends_and_one_that_fires_at_once_never()
    {
        var fired = 0;
        using (_clock.CreateTimer(_ => fired++, null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)))
        {
            _clock.Advance(TimeSpan.FromSeconds(2));
            Assert.Equal(2, fired);
            Assert.Equal(1, _clock.ArmedTimers);
        }

        Assert.Equal(0, _clock.ArmedTimers);
        using var atOnce = _clock.CreateTimer(_ => fired++, null, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        Assert.Equal(3, fired);
        Assert.Equal(0, _clock.ArmedTimers);
    }

    [Fact]
    public void Fires_timers_in_the_order_of_their_times()
    {
        var fired = new List<int>();
        using var second = _clock.CreateTimer(_ => fired.Add(2), null, TimeSpan.FromSeconds(2), Timeout.InfiniteTimeSpan);
        using var first = _clock.CreateTimer(_ => fired.Add(1), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);

        _clock.Advance(TimeSpan.FromSeconds(3));

        Assert.Equal([1, 2], fired);
    }
}
