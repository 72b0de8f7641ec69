using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Watching;
using Google.Protobuf;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>The bound over all watches of a client.</summary>
public sealed class UnreadBudgetTests
{
    private const int ValueSize = 1024 * 1024;

    private static readonly ByteString Value = UnsafeByteOperations.UnsafeWrap(new byte[ValueSize]);
    private static readonly EtcdException Unread = new("unread", default, "Watch", []);

    private readonly UnreadBudget _budget = new();
    private readonly List<WatchSubscription> _watches = [];

    [Fact]
    public async Task Of_many_watches_that_nobody_reads_the_largest_drops_what_it_kept()
    {
        for (var i = 0; i < 6; i++)
        {
            Fill(NewWatch(), i == 3 ? 60 : 45);
        }

        var dropped = Assert.IsType<WatchSubscription>(_budget.FindExcess(_watches, out var mustDrop));
        Assert.True(mustDrop);
        Assert.Same(_watches[3], dropped);
        dropped.DropUnread(Unread);

        Assert.Equal(WatchPhase.Idle, dropped.Phase);
        Assert.Null(_budget.FindExcess(_watches, out _));
        Assert.Equal([EtcdWatchUpdateKind.ListAgain], await ReadAsync(dropped));
    }

    [Fact]
    public async Task A_reader_that_has_to_list_already_is_told_once_when_its_updates_are_dropped()
    {
        var watch = NewWatch();
        Fill(watch, 10);
        watch.ListAgain(Unread);

        watch.DropUnread(Unread);
        Assert.NotEqual(0, watch.Updates.Size);
        watch.DropUnread(Unread);

        Assert.Equal([EtcdWatchUpdateKind.ListAgain], await ReadAsync(watch));
    }

    [Fact]
    public async Task What_was_read_or_disposed_does_not_count()
    {
        for (var i = 0; i < 20; i++)
        {
            var watch = NewWatch();
            Fill(watch, 60);
            if (i % 2 == 0)
            {
                watch.Close();
                _watches.Remove(watch);
            }
            else
            {
                await ReadAsync(watch);
            }

            Assert.Null(_budget.FindExcess(_watches, out _));
        }
    }

    [Fact]
    public void A_watch_beyond_its_own_limit_has_to_list_and_is_not_found_again()
    {
        var watch = NewWatch();
        Fill(watch, 65);

        Assert.Same(watch, _budget.FindExcess(_watches, out var mustDrop));
        Assert.False(mustDrop);
        watch.ListAgain(Unread);

        Assert.Null(_budget.FindExcess(_watches, out _));
    }

    private WatchSubscription NewWatch()
    {
        var watch = new WatchSubscription(new WatchTarget("a", KeyRange.Prefix("a")), 1, 0, _budget);
        _watches.Add(watch);
        return watch;
    }

    private static void Fill(WatchSubscription watch, int mebibytes)
    {
        for (var i = 0; i < mebibytes; i++)
        {
            var change = ScriptedWatch.Put("a", watch.Next);
            change.Kv.Value = Value;
            watch.Received(new WatchResponse { Header = ScriptedWatch.Header(watch.Next), Events = { change } });
        }
    }

    // Reads what is there, and no more.
    private static async Task<List<EtcdWatchUpdateKind>> ReadAsync(WatchSubscription watch)
    {
        var kinds = new List<EtcdWatchUpdateKind>();
        await using var reader = watch.Updates.ReadAllAsync(CancellationToken.None).GetAsyncEnumerator();
        while (watch.Updates.Size > 0 && await reader.MoveNextAsync())
        {
            kinds.Add(reader.Current.Kind);
        }

        return kinds;
    }
}
