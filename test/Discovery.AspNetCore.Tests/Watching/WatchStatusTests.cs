using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Time.Testing;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class WatchStatusTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly WatchStatus _status;

    public WatchStatusTests() => _status = new WatchStatus(_clock);

    [Fact]
    public void Nothing_is_known_at_first()
    {
        Assert.Equal((false, false, false), (_status.IsConnected, _status.ListsInstead, _status.IsWatchOutdated));
        Assert.Null(_status.LastError);
        Assert.Null(_status.Age);
    }

    [Fact]
    public void An_open_watch_is_connected_and_needs_no_lists_instead()
    {
        _status.OnUnavailable(null);

        _status.OnOpened();

        Assert.Equal((true, false), (_status.IsConnected, _status.ListsInstead));
    }

    [Fact]
    public void A_watch_that_breaks_is_not_connected_and_lists_go_on_standing_in()
    {
        var problem = new InvalidOperationException();
        _status.OnOpened();
        _status.OnInterrupted(problem);
        Assert.Equal((false, false), (_status.IsConnected, _status.ListsInstead));
        Assert.Same(problem, _status.LastError);

        _status.OnUnavailable(null);
        _status.OnInterrupted(problem);
        Assert.True(_status.ListsInstead);
    }

    [Fact]
    public void A_watch_that_opens_after_a_list_stood_in_has_to_begin_anew()
    {
        _status.OnUnavailable(new InvalidOperationException());
        _status.OnListedInstead();
        Assert.False(_status.IsWatchOutdated);

        _status.OnOpened();
        Assert.True(_status.IsWatchOutdated);

        _status.OnEnded();
        _status.OnOpened();
        Assert.False(_status.IsWatchOutdated);
    }

    [Fact]
    public void The_age_counts_from_when_etcd_was_heard_last_and_its_failure_is_forgotten()
    {
        _status.OnFailed(new InvalidOperationException());
        Assert.NotNull(_status.LastError);

        _status.OnConfirmed();
        _clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(TimeSpan.FromSeconds(3), _status.Age);
        Assert.Null(_status.LastError);

        _status.OnFailed(new InvalidOperationException());
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(4), _status.Age);
    }
}
