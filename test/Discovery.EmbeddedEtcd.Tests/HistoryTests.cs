using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Tests;

/// <summary>Memory is bounded: by what is retained, and by what a slow client may leave unread.</summary>
public sealed class HistoryTests
{
    [Fact]
    public async Task History_beyond_the_retained_revisions_is_compacted_by_itself()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { RetainedRevisions = 100 });
        using var client = new RawClient(etcd.Endpoint);
        for (var i = 0; i < 1000; i++)
        {
            await client.PutAsync($"key {i % 5}", "value");
        }

        Assert.InRange(etcd.HistoryLength, 100, 111);
        Assert.Equal(5, (await client.RangeAsync(new RangeRequest { Key = "key".Bytes(), RangeEnd = "kez".Bytes() })).Count);
    }

    [Fact]
    public async Task Compaction_frees_what_was_overwritten_and_deleted()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        using var client = new RawClient(etcd.Endpoint);
        for (var i = 0; i < 500; i++)
        {
            await client.PutAsync($"{i:000}", "value");
            await client.DeleteAsync($"{i:000}");
        }

        await client.PutAsync("kept", "value");
        etcd.Compact();

        Assert.Equal(1, etcd.HistoryLength);
        Assert.Equal("keptvalue".Length, (await client.StatusAsync()).DbSize);
    }

    [Fact]
    public async Task A_client_that_reads_slowly_misses_nothing_unless_its_past_is_compacted()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        using var client = new RawClient(etcd.Endpoint);
        using var slow = new RawClient(etcd.Endpoint);
        using var watch = slow.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });

        // Many times what the windows of the connection and the queue of the watcher hold.
        var value = new string('v', 10_000);
        for (var i = 0; i < 5000; i++)
        {
            await client.PutAsync("a", value);
        }

        var events = await watch.EventsAsync(5000);
        Assert.Equal(Enumerable.Range(2, 5000).Select(r => (long)r), events.Select(e => e.Kv.ModRevision));
    }
}
