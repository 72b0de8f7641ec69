using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using static Discovery.Etcd.Protocol.WatchCreateRequest.Types;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class WatchConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task A_watch_tells_its_revision_and_then_what_happens()
    {
        var before = (await Client.PutAsync(Key("old"), "")).Header.Revision;
        using var watch = Client.Watch();

        var created = await watch.CreateAsync(WatchAll());
        await Client.PutAsync(Key("a"), "1");
        await Client.DeleteAsync(Key("a"));

        Assert.True(created is { Created: true, Canceled: false, WatchId: 0 });
        Assert.Equal(before, created.Header.Revision);
        var events = await watch.EventsAsync(2);
        Assert.Equal(["put a 1", "delete a"], Describe(events));
        Assert.Equal([before + 1, before + 2], events.Select(e => e.Kv.ModRevision));
        Assert.Equal((0, 0), (events[1].Kv.CreateRevision, events[1].Kv.Version));
    }

    [Fact]
    public async Task A_watch_of_one_key_ignores_its_neighbours()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = Key("a").Bytes() });

        await Client.PutAsync(Key("aa"), "");
        await Client.PutAsync(Key("a"), "1");

        Assert.Equal(["put a 1"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task The_past_can_be_watched_and_goes_over_into_the_present()
    {
        var first = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        await Client.PutAsync(Key("a"), "2");
        await Client.DeleteAsync(Key("a"));
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = first + 1;

        await watch.CreateAsync(request);
        Assert.Equal(["put a 2", "delete a"], Describe(await watch.EventsAsync(2)));
        await Client.PutAsync(Key("a"), "3");

        Assert.Equal(["put a 3"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task A_watch_of_the_future_starts_there()
    {
        var now = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = now + 3;
        await watch.CreateAsync(request);

        await Client.PutAsync(Key("a"), "2");
        await Client.PutAsync(Key("a"), "3");
        await Client.PutAsync(Key("a"), "4");

        Assert.Equal(["put a 4"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task One_transaction_is_one_response()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());

        var operations = Enumerable.Range(0, 100).Select(i => new RequestOp { RequestPut = new PutRequest { Key = Key($"{i:000}").Bytes() } });
        var response = await Client.TxnAsync(new TxnRequest { Success = { operations } });

        var seen = await watch.NextAsync();
        Assert.Equal(100, seen.Events.Count);
        Assert.Equal(response.Header.Revision, seen.Header.Revision);
    }

    [Fact]
    public async Task Filters_leave_out_puts_or_deletes()
    {
        using var watch = Client.Watch();
        var request = WatchAll();
        request.Filters.Add(FilterType.Noput);
        var noPuts = (await watch.CreateAsync(request)).WatchId;
        request.Filters[0] = FilterType.Nodelete;
        await watch.CreateAsync(request);

        await Client.PutAsync(Key("a"), "1");
        await Client.DeleteAsync(Key("a"));

        var responses = new[] { await watch.NextAsync(), await watch.NextAsync() };
        Assert.Equal(["delete a"], Describe(responses.Single(r => r.WatchId == noPuts).Events));
        Assert.Equal(["put a 1"], Describe(responses.Single(r => r.WatchId != noPuts).Events));
    }

    [Fact]
    public async Task Previous_records_come_when_asked()
    {
        await Client.PutAsync(Key("a"), "0");
        using var watch = Client.Watch();
        var request = WatchAll();
        request.PrevKv = true;
        await watch.CreateAsync(request);

        await Client.PutAsync(Key("a"), "1");
        await Client.DeleteAsync(Key("a"));
        await Client.PutAsync(Key("a"), "2");

        var events = await watch.EventsAsync(3);
        Assert.Equal("0", events[0].PrevKv.Value.ToStringUtf8());
        Assert.Equal("1", events[1].PrevKv.Value.ToStringUtf8());
        Assert.Null(events[2].PrevKv);
    }

    [Fact]
    public async Task Ids_are_counted_or_chosen()
    {
        using var watch = Client.Watch();

        Assert.Equal(0, (await watch.CreateAsync(WatchAll())).WatchId);
        var chosen = WatchAll();
        chosen.WatchId = 1;
        Assert.Equal(1, (await watch.CreateAsync(chosen)).WatchId);
        Assert.Equal(2, (await watch.CreateAsync(WatchAll())).WatchId);

        var rejected = await watch.CreateAsync(chosen);
        Assert.True(rejected is { WatchId: -1, Created: true, Canceled: true, CancelReason: "mvcc: duplicate watch ID provided on the WatchStream" });
    }

    [Fact]
    public async Task An_empty_range_is_rejected()
    {
        using var watch = Client.Watch();

        var rejected = await watch.CreateAsync(new WatchCreateRequest { Key = "b".Bytes(), RangeEnd = "a".Bytes() });

        Assert.True(rejected is { WatchId: -1, Created: true, Canceled: true, CancelReason: "mvcc: watcher range is empty" });
    }

    [Fact]
    public async Task A_cancelled_watch_is_silent_and_its_id_free()
    {
        using var watch = Client.Watch();
        var request = WatchAll();
        request.WatchId = 7;
        await watch.CreateAsync(request);

        watch.Cancel(99);
        watch.Cancel(7);
        var cancelled = await watch.NextAsync();
        await Client.PutAsync(Key("unseen"), "");
        var again = await watch.CreateAsync(request);
        await Client.PutAsync(Key("seen"), "");

        Assert.True(cancelled is { WatchId: 7, Canceled: true, Created: false, CompactRevision: 0 });
        Assert.True(again is { WatchId: 7, Created: true });
        Assert.Equal(["put seen"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task A_watch_of_the_compacted_past_is_cancelled()
    {
        var first = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        var compacted = (await Client.PutAsync(Key("a"), "2")).Header.Revision;
        await Client.CompactAsync(compacted);
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = first;

        var created = await watch.CreateAsync(request);
        var cancelled = await watch.NextAsync();

        Assert.True(created.Created);
        Assert.True(cancelled is { Canceled: true, Created: false, CancelReason: "" });
        Assert.Equal((0, compacted, 0), (cancelled.WatchId, cancelled.CompactRevision, cancelled.Header.Revision));
    }

    [Fact]
    public async Task The_compacted_revision_itself_can_be_watched()
    {
        await Client.PutAsync(Key("a"), "1");
        var compacted = (await Client.PutAsync(Key("a"), "2")).Header.Revision;
        await Client.CompactAsync(compacted);
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = compacted;
        request.PrevKv = true;

        await watch.CreateAsync(request);

        var @event = Assert.Single(await watch.EventsAsync(1));
        Assert.Equal("2", @event.Kv.Value.ToStringUtf8());
        Assert.Null(@event.PrevKv);
    }

    [Fact]
    public async Task A_deletion_at_the_compacted_revision_can_be_watched()
    {
        await Client.PutAsync(Key("a"), "1");
        var compacted = (await Client.DeleteAsync(Key("a"))).Header.Revision;
        await Client.CompactAsync(compacted);
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = compacted;

        await watch.CreateAsync(request);
        await Client.PutAsync(Key("b"), "2");

        string[] kept = (await VersionAsync()).KeepsDeletionAtCompaction() ? ["delete a"] : [];
        Assert.Equal([.. kept, "put b 2"], Describe(await watch.EventsAsync(kept.Length + 1)));
    }

    [Fact]
    public async Task A_deletion_before_the_compacted_revision_is_forgotten()
    {
        await Client.PutAsync(Key("a"), "1");
        var deleted = (await Client.DeleteAsync(Key("a"))).Header.Revision;
        await Client.CompactAsync(deleted);
        var compacted = (await Client.PutAsync(Key("b"), "2")).Header.Revision;
        await Client.CompactAsync(compacted);
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = compacted;

        await watch.CreateAsync(request);

        Assert.Equal(["put b 2"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task A_live_watch_survives_compaction()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());
        await Client.PutAsync(Key("a"), "1");
        await watch.EventsAsync(1);

        await Client.CompactAsync((await Client.PutAsync(Key("a"), "2")).Header.Revision);

        Assert.Equal(["put a 2"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task Progress_is_told_on_request()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());
        var revision = (await Client.PutAsync("elsewhere", "")).Header.Revision;

        watch.RequestProgress();

        AssertProgress(revision, await watch.NextAsync());
    }

    [Fact]
    public async Task Progress_is_told_after_the_events_before_it()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());
        var revision = (await Client.PutAsync(Key("a"), "1")).Header.Revision;

        watch.RequestProgress();

        // The first versions send it as soon as they can.
        if ((await VersionAsync()).TellsProgressOfSyncedStreamsOnly())
        {
            Assert.Equal(["put a 1"], Describe((await watch.NextAsync()).Events));
            AssertProgress(revision, await watch.NextAsync());
        }
    }

    [Fact]
    public async Task A_watch_of_the_future_leaves_progress_requests_of_its_stream_unanswered()
    {
        var now = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());
        var request = WatchAll();
        request.StartRevision = now + 1;
        await watch.CreateAsync(request);

        watch.RequestProgress();
        watch.Cancel(1);
        if (!(await VersionAsync()).TellsNoProgressBeforeTheStart())
        {
            Assert.Equal(-1, (await watch.NextAsync()).WatchId);
        }

        // The requests of a stream are handled in turn, so the answer would have come first.
        Assert.True((await watch.NextAsync()) is { WatchId: 1, Canceled: true });
        watch.RequestProgress();
        AssertProgress(now, await watch.NextAsync());
    }

    [Fact]
    public async Task A_stream_without_watches_leaves_progress_requests_unanswered()
    {
        using var watch = Client.Watch();

        watch.RequestProgress();
        watch.Send(WatchAll());

        if (!(await VersionAsync()).TellsProgressOfSyncedStreamsOnly())
        {
            Assert.Equal(-1, (await watch.NextAsync()).WatchId);
        }

        Assert.True((await watch.NextAsync()).Created);
    }

    [Fact]
    public async Task A_watch_from_before_the_first_revision_is_refused()
    {
        if (!(await VersionAsync()).RefusesNegativeStarts())
        {
            return;
        }

        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = -1;

        var refused = await watch.CreateAsync(request);

        Assert.True(refused is { WatchId: -1, Created: true, Canceled: true, CompactRevision: 0 });
        Assert.Equal("etcdserver: mvcc: required revision has been compacted", refused.CancelReason);
    }

    [Fact]
    public async Task A_client_that_has_nothing_more_to_ask_still_gets_its_events()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());

        await watch.CompleteAsync();
        await Client.PutAsync(Key("a"), "1");

        Assert.Equal(["put a 1"], Describe(await watch.EventsAsync(1)));
    }

    [Fact]
    public async Task Large_responses_come_in_fragments_when_asked()
    {
        var value = ByteString.CopyFrom(new byte[700_000]);
        var first = 0L;
        for (var i = 0; i < 4; i++)
        {
            var put = new PutRequest { Key = Key($"{i}").Bytes(), Value = value };
            var revision = (await Client.PutAsync(put)).Header.Revision;
            first = first == 0 ? revision : first;
        }

        var lease = (await Client.GrantAsync(600)).ID;
        for (var i = 0; i < 4; i++)
        {
            await Client.PutAsync(new PutRequest { Key = Key($"{i}").Bytes(), Value = value, Lease = lease });
        }

        // One revision with four deletions that carry what they deleted is larger than a fragment may be.
        using var watch = Client.Watch();
        var request = WatchAll();
        request.Fragment = true;
        request.PrevKv = true;
        await watch.CreateAsync(request);
        await Client.RevokeAsync(lease);

        var parts = new List<WatchResponse> { await watch.NextAsync() };
        while (parts[^1].Fragment)
        {
            parts.Add(await watch.NextAsync());
        }

        Assert.True(parts.Count > 1);
        Assert.All(parts, p => Assert.True(p.CalculateSize() < 2 * 1024 * 1024));
        Assert.Single(parts.Select(p => p.Header.Revision).Distinct());
        Assert.Equal(["delete 0", "delete 1", "delete 2", "delete 3"], Describe(parts.SelectMany(p => p.Events)));
    }

    [Fact]
    public async Task An_empty_key_watches_from_the_smallest()
    {
        using var watch = Client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { RangeEnd = ByteString.CopyFrom(0) });

        await Client.PutAsync(Key("a"), "1");

        Assert.Contains("put a 1", Describe((await watch.EventsAsync(1)).Where(e => e.Kv.Key == Key("a").Bytes())));
    }

    private static void AssertProgress(long revision, WatchResponse response)
    {
        Assert.Equal((-1, 0, revision), (response.WatchId, response.Events.Count, response.Header.Revision));
        Assert.False(response.Created || response.Canceled);
    }
}

[Collection(EmbeddedTests.Name)]
public sealed class WatchOnEmbedded(EmbeddedServer server) : WatchConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class WatchOnEtcd(RealServer server) : WatchConformance(server);
