using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>What a watch says when the events in between cannot be had any more.</summary>
public sealed class LostHistoryTests
{
    [Fact]
    public async Task After_a_compaction_while_disconnected_the_watch_asks_for_a_list_and_goes_on_from_it()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var direct = Connect(etcd.Endpoint);
        await using var proxy = TcpProxy.Start(etcd.Member.ClientPort);
        await using var client = Connect(proxy.Endpoint);
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 1);
        await using var quiet = client.Watch(prefix + "quiet/", 0);
        var (log, quietLog) = (WatchLog.Follow(watch), WatchLog.Follow(quiet));
        await direct.PutAsync(prefix + "a", Bytes("1"));
        await Eventually.IsTrue(() => log.Events.Count == 1 && quietLog.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        proxy.Refuses = true;
        proxy.CutAll();
        await direct.PutAsync(prefix + "a", Bytes("2"));
        await direct.DeleteAsync(prefix + "a");
        var last = await direct.PutAsync(prefix + "b", Bytes("3"));
        await Etcdctl.RunAsync(etcd.Endpoint, "compact", $"{last}");
        proxy.Refuses = false;

        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.ListAgain) && quietLog.Kinds.Contains(EtcdWatchUpdateKind.ListAgain));
        Assert.Contains("compacted", log.Updates.Single(u => u.Kind == EtcdWatchUpdateKind.ListAgain).Error!.Message, StringComparison.Ordinal);
        var listing = await client.ListAsync(prefix);
        watch.Restart(listing.Revision + 1, listing.ClusterId);
        quiet.Restart(listing.Revision + 1, listing.ClusterId);
        await direct.PutAsync(prefix + "quiet/c", Bytes("4"));
        await Eventually.IsTrue(() => log.Events.Count == 2 && quietLog.Events.Count == 1);
        Assert.Equal(["1", "4"], log.Events.Select(e => Text(e.Record.Value)));
    }

    [Fact]
    public async Task After_the_data_were_wiped_the_watch_asks_for_a_list_and_the_keeper_puts_its_keys_again()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var client = Connect(etcd.Endpoint);
        var prefix = NewPrefix();
        for (var i = 0; i < 20; i++)
        {
            await client.PutAsync(prefix + "a", Bytes("x"));
        }

        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(60));
        keeper.Put(prefix + "kept", Bytes("mine"));
        await keeper.FlushAsync();
        var listing = await client.ListAsync(prefix);
        await using var watch = client.Watch(prefix, listing.Revision + 1, listing.ClusterId);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();

        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.ListAgain));
        Assert.Contains("revision went back", log.Updates.Single(u => u.Kind == EtcdWatchUpdateKind.ListAgain).Error!.Message, StringComparison.Ordinal);
        await Eventually.IsTrue(async () => await client.GetAsync(prefix + "kept") is { } kept && kept.LeaseId == keeper.Status.LeaseId);
        var again = await client.ListAsync(prefix);
        Assert.True(again.Revision < listing.Revision);
        watch.Restart(again.Revision + 1, again.ClusterId);
        await client.PutAsync(prefix + "b", Bytes("y"));
        await Eventually.IsTrue(() => log.Events is [.., var last] && last.Record.Key == prefix + "b");
    }

    [Fact]
    public async Task A_cluster_wiped_and_written_past_our_revision_while_disconnected_is_noticed_by_its_earlier_term()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await etcd.KillAsync();
        await etcd.RestartAsync();
        await using var direct = Connect(etcd.Endpoint);
        await using var proxy = TcpProxy.Start(etcd.Member.ClientPort);
        await using var client = Connect(proxy.Endpoint);
        var prefix = NewPrefix();
        var listing = await client.ListAsync(prefix);
        await using var watch = client.Watch(prefix, listing.Revision + 1, listing.ClusterId);
        var log = WatchLog.Follow(watch);
        await direct.PutAsync(prefix + "a", Bytes("old"));
        await Eventually.IsTrue(() => log.Events.Count == 1);

        proxy.Refuses = true;
        proxy.CutAll();
        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();
        for (var i = 0; i < 20; i++)
        {
            await direct.PutAsync(prefix + "b", Bytes("new"));
        }

        proxy.Refuses = false;

        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.ListAgain));
        Assert.Contains("raft term went back", log.Updates.Single(u => u.Kind == EtcdWatchUpdateKind.ListAgain).Error!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_cluster_under_the_same_address_means_a_new_list()
    {
        await using var one = await EtcdProcess.StartAsync();
        await using var other = await EtcdProcess.StartAsync();
        await using var client = Connect(other.Endpoint);
        await using var client1 = Connect(one.Endpoint);
        var listing = await client1.ListAsync("x");

        await using var watch = client.Watch("x", listing.Revision, listing.ClusterId);
        var log = WatchLog.Follow(watch);

        await Eventually.IsTrue(() => log.Kinds is [EtcdWatchUpdateKind.ListAgain]);
        Assert.Contains("another cluster", log.Updates[0].Error!.Message, StringComparison.Ordinal);
    }
}
