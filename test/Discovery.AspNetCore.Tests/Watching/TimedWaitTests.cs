using Discovery.AspNetCore.Watching;
using Discovery.TestKit;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class TimedWaitTests
{
    private readonly ObservedTimeProvider _clock = new();
    private readonly TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task Less_than_a_millisecond_is_waited_for_too()
    {
        var pause = TimedWait.UntilAsync(_news.Task, TimeSpan.FromTicks(4437), _clock, CancellationToken.None);

        Assert.False(pause.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        await pause;
    }

    [Fact]
    public async Task The_time_is_over_when_it_says_so_and_not_before()
    {
        var pause = TimedWait.UntilAsync(_news.Task, TimeSpan.FromTicks(2_400_004_437), _clock, CancellationToken.None);

        _clock.Advance(TimeSpan.FromMilliseconds(240_000));
        Assert.Equal(1, _clock.ArmedTimers);

        _clock.Advance(TimeSpan.FromMilliseconds(1));
        await pause;
    }

    [Fact]
    public async Task It_ends_with_the_task_and_leaves_no_timer()
    {
        var pause = TimedWait.UntilAsync(_news.Task, TimeSpan.FromMinutes(5), _clock, CancellationToken.None);
        Assert.Equal(1, _clock.ArmedTimers);

        _news.SetResult();

        await pause;
        await Eventually.IsTrue(() => _clock.ArmedTimers == 0);
    }

    [Fact]
    public async Task Who_waits_goes_on_before_the_task_is_left()
    {
        var news = new TaskCompletionSource();
        var pause = TimedWait.UntilAsync(news.Task, TimeSpan.FromMinutes(5), _clock, CancellationToken.None);

        Assert.True(await Task.Run(() =>
        {
            news.SetResult();
            return pause.IsCompleted;
        }));
    }

    [Fact]
    public async Task A_stop_ends_it()
    {
        using var stop = new CancellationTokenSource();
        var pause = TimedWait.UntilAsync(_news.Task, limit: null, _clock, stop.Token);

        await stop.CancelAsync();

        await pause.WaitAsync(TimeSpan.FromSeconds(10));
        await Eventually.IsTrue(() => _clock.ArmedTimers == 0);
    }
}
