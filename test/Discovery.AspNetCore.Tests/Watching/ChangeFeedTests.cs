using Discovery.AspNetCore.Watching;
using Discovery.TestKit;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class ChangeFeedTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    private readonly ObservedTimeProvider _clock = new();
    private readonly ChangeFeed<string> _feed = new();

    [Fact]
    public async Task The_first_state_is_waited_for()
    {
        var first = _feed.WaitForFirstAsync(Limit, _clock, CancellationToken.None).AsTask();
        Assert.False(first.IsCompleted);

        _feed.Publish("one");

        Assert.Equal("one", await first);
        Assert.Equal(0, _clock.ArmedTimers);
    }

    [Fact]
    public async Task What_is_there_needs_no_time()
    {
        _feed.Publish("one");

        Assert.Equal("one", await _feed.WaitForFirstAsync(TimeSpan.Zero, _clock, CancellationToken.None));
    }

    [Fact]
    public async Task There_is_none_when_the_limit_has_passed()
    {
        var first = _feed.WaitForFirstAsync(Limit, _clock, CancellationToken.None).AsTask();

        _clock.Advance(Limit - TimeSpan.FromMilliseconds(1));
        Assert.False(first.IsCompleted);

        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(await first);
    }

    [Fact]
    public async Task A_caller_that_gives_up_is_not_told_that_there_is_none()
    {
        using var gone = new CancellationTokenSource();
        var first = _feed.WaitForFirstAsync(Limit, _clock, gone.Token).AsTask();

        await gone.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
    }

    [Fact]
    public async Task A_feed_that_is_closed_before_says_so()
    {
        var first = _feed.WaitForFirstAsync(Limit, _clock, CancellationToken.None).AsTask();

        _feed.Close();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => first);
    }
}
