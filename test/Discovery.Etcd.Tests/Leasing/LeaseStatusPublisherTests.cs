using Discovery.Etcd.Leasing;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class LeaseStatusPublisherTests
{
    private readonly DesiredKeys _keys = new();
    private readonly LeaseStatusPublisher _status;
    private int _announced;

    public LeaseStatusPublisherTests()
    {
        var log = new LogRecorder();
        var clock = new FakeTimeProvider();
        _status = new LeaseStatusPublisher(_keys, new KeeperFailures(new EtcdOutage(clock), clock, log), log);
        _status.Changed += _ => _announced++;
    }

    [Fact]
    public void Nothing_new_is_not_announced()
    {
        _keys.Put("a", [1]);
        _status.Refresh();
        _status.Refresh();

        Assert.Equal(1, _announced);
    }

    [Fact]
    public void A_key_that_came_and_went_is_announced_though_the_numbers_are_what_they_were()
    {
        _keys.Put("a", [1]);
        _status.Refresh();
        _keys.Remove("a");
        _keys.Put("a", [1]);
        _status.Refresh();

        Assert.Equal(2, _announced);
    }

    /// <summary>A handler that logs waits for the log's provider, and a line of another thread may be enriched there with the status.</summary>
    [Fact]
    public void A_handler_may_wait_for_who_reads_the_status()
    {
        var isRead = false;
        _status.Changed += _ => isRead = Task.Run(() => _status.Current).Wait(TimeSpan.FromSeconds(10));

        _status.Set(EtcdLeaseState.Granting);

        Assert.True(isRead);
    }
}
