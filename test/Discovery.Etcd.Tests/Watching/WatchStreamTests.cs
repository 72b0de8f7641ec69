using Discovery.Etcd.Protocol;
using Discovery.Etcd.Watching;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>What a watch makes of a server's answers, rare ones included.</summary>
public sealed class WatchStreamTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _clock = new();
    private ScriptedServer _server = null!;
    private EtcdClient _client = null!;

    public async Task InitializeAsync()
    {
        _server = await ScriptedServer.StartAsync();
        _client = new EtcdClient(new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1) }, timeProvider: _clock);
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Fragments_are_merged_and_events_seen_before_are_dropped()
    {
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            var id = (await watch.ReadCreateAsync()).WatchId;
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(12), Created = true, WatchId = id });
            await watch.SendAsync(Events(id, fragment: true, ("old", 4), ("a", 5)));
            await watch.SendAsync(Events(id, fragment: true, ("b", 5)));
            await watch.SendAsync(Events(id, fragment: false, ("c", 5), ("d", 6)));
            await watch.SendAsync(Events(id, fragment: false, ("d", 6), ("e", 7)));
            await watch.ReadAsync();
        });
        await using var watch = _client.Watch("", 5);

        var changes = await ReadAsync(watch, EtcdWatchUpdateKind.Changed, 3);

        Assert.Equal([(5L, "abc"), (6L, "d"), (7L, "e")], changes.Select(c => (c.Revision, string.Concat(c.Events.Select(e => e.Record.Key)))));
    }

    [Fact]
    public async Task Whole_revisions_are_delivered_although_the_fragments_go_on()
    {
        var starts = new List<long>();
        var seen = new TaskCompletionSource();
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            var create = await watch.ReadCreateAsync();
            starts.Add(create.StartRevision);
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(12), Created = true, WatchId = create.WatchId });
            await watch.SendAsync(Events(create.WatchId, fragment: true, ("a", 5), ("b", 6), ("c", 7)));
            await seen.Task;
            if (starts.Count == 1)
            {
                http.Abort();
            }

            await watch.ReadAsync();
        });
        await using var watch = _client.Watch("", 5);

        var changes = await ReadAsync(watch, EtcdWatchUpdateKind.Changed, 2);

        Assert.Equal([5, 6], changes.Select(c => c.Revision));
        seen.SetResult();
        await PassTimeUntil(() => starts.Count == 2);
        Assert.Equal(7, starts[1]);
    }

    [Fact]
    public async Task A_stream_that_ends_is_resumed_after_the_last_revision_whether_it_ends_cleanly_or_not()
    {
        var starts = new List<long>();
        var progressSeen = new TaskCompletionSource();
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            var create = await watch.ReadCreateAsync();
            starts.Add(create.StartRevision);
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(20 + starts.Count), Created = true, WatchId = create.WatchId });
            switch (starts.Count)
            {
                case 1:
                    await watch.SendAsync(Events(create.WatchId, fragment: false, ("a", 30)));
                    watch.End();
                    return;
                case 2:
                    // An own progress notice: nothing happened up to 40.
                    await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(40), WatchId = create.WatchId });
                    await progressSeen.Task;
                    http.Abort();
                    return;
                case 3:
                    // Half of a revision, then the end: it must come again as a whole.
                    await watch.SendAsync(Events(create.WatchId, fragment: true, ("b", 50)));
                    watch.End();
                    return;
                default:
                    await watch.ReadAsync();
                    return;
            }
        });
        await using var watch = _client.Watch("", 0);
        var reading = Task.Run(async () =>
        {
            await ReadAsync(watch, EtcdWatchUpdateKind.Progress, 1);
            progressSeen.SetResult();
        });

        await PassTimeUntil(() => starts.Count == 4);
        await reading;

        Assert.Equal([0, 31, 41, 41], starts);
    }

    [Fact]
    public async Task A_watch_from_now_whose_stream_breaks_before_any_event_resumes_where_it_began()
    {
        var starts = new List<long>();
        var opened = new TaskCompletionSource();
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            var create = await watch.ReadCreateAsync();
            starts.Add(create.StartRevision);
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(9 + starts.Count), Created = true, WatchId = create.WatchId });
            if (starts.Count == 1)
            {
                await opened.Task;
                http.Abort();
            }

            await watch.ReadAsync();
        });
        await using var watch = _client.Watch("", 0);
        await ReadAsync(watch, EtcdWatchUpdateKind.Opened, 1);
        opened.SetResult();

        await PassTimeUntil(() => starts.Count == 2);

        Assert.Equal([0, 11], starts);
    }

    [Fact]
    public async Task A_refusal_without_id_is_reported_to_the_watch_it_belongs_to_and_tried_again()
    {
        var refused = 0;
        _server.On(EtcdMethods.Range, http => ScriptedServer.AnswerAsync(http, new RangeResponse { Header = ScriptedWatch.Header(10) }));
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            while (true)
            {
                var create = await watch.ReadCreateAsync();
                var refuse = create.Key.ToStringUtf8() == "bad" && Interlocked.Increment(ref refused) <= 2;
                await watch.SendAsync(refuse
                    ? new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, Canceled = true, WatchId = -1, CancelReason = "mvcc: some reason" }
                    : new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, WatchId = create.WatchId });
            }
        });
        await using var good = _client.Watch("good", 5);
        await using var bad = _client.Watch("bad", 5);

        var rejected = await ReadAsync(bad, EtcdWatchUpdateKind.Rejected, 1);
        Assert.Contains("mvcc: some reason", rejected[0].Error!.Message, StringComparison.Ordinal);
        await ReadAsync(good, EtcdWatchUpdateKind.Opened, 1);
        await PassTimeUntil(() => refused == 3);
        await ReadAsync(bad, EtcdWatchUpdateKind.Opened, 1);
    }

    [Fact]
    public async Task A_create_that_is_answered_by_a_compaction_asks_for_a_list_and_not_for_patience()
    {
        var starts = new List<long>();
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            while (true)
            {
                var create = await watch.ReadCreateAsync();
                starts.Add(create.StartRevision);
                await watch.SendAsync(create.StartRevision <= 20
                    ? new WatchResponse { Header = ScriptedWatch.Header(30), Created = true, Canceled = true, WatchId = create.WatchId, CompactRevision = 20 }
                    : new WatchResponse { Header = ScriptedWatch.Header(30), Created = true, WatchId = create.WatchId });
            }
        });
        await using var watch = _client.Watch("", 5);

        var again = await ReadAsync(watch, EtcdWatchUpdateKind.ListAgain, 1);

        Assert.Equal((20, EtcdErrorReason.Unspecified), (again[0].CompactRevision, again[0].Error!.Reason));
        watch.Restart(31, 1);
        await ReadAsync(watch, EtcdWatchUpdateKind.Opened, 1);
        Assert.Equal([5, 31], starts);
    }

    [Theory]
    [InlineData(20)]
    [InlineData(0)]
    public async Task A_watch_that_the_server_ended_is_cancelled_there_for_a_proxy_keeps_it_until_then(long compactRevision)
    {
        var (first, cancelled) = (new TaskCompletionSource<long>(), new TaskCompletionSource<long>());
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CreateRequest is { } create)
                {
                    await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(30), Created = true, WatchId = create.WatchId });
                    if (first.TrySetResult(create.WatchId))
                    {
                        await watch.SendAsync(new WatchResponse { WatchId = create.WatchId, Canceled = true, CompactRevision = compactRevision, CancelReason = "mvcc: some reason" });
                    }
                }
                else if (request.CancelRequest is { } cancel)
                {
                    cancelled.TrySetResult(cancel.WatchId);
                }
            }
        });
        await using var watch = _client.Watch("", 5);

        Assert.Equal(await first.Task, await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_member_that_is_cut_off_is_left_although_it_answers()
    {
        await using var other = await ScriptedServer.StartAsync();
        var streams = 0;
        foreach (var server in (ScriptedServer[])[_server, other])
        {
            server.On(EtcdMethods.Range, http => ScriptedServer.AnswerAsync(http, new RangeResponse { Header = ScriptedWatch.Header(100) }));
            server.On(EtcdMethods.Watch, http =>
                ScriptedWatch.ServeAsync(http, _ => { }, Interlocked.Increment(ref streams) == 1 ? 10 : 100));
        }

        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_server.Endpoint, other.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1) }, timeProvider: _clock);
        await using var watch = client.Watch("", 5);
        await ReadAsync(watch, EtcdWatchUpdateKind.Opened, 1);
        await client.GetAsync("x");

        // A member may be behind for a moment; at the second question it is not believed any more.
        _clock.Advance(TimeSpan.FromSeconds(10));
        await ReadAsync(watch, EtcdWatchUpdateKind.Progress, 1);
        _clock.Advance(TimeSpan.FromSeconds(10));

        var interrupted = await ReadAsync(watch, EtcdWatchUpdateKind.Interrupted, 1);
        Assert.Contains("cut off", interrupted[0].Error!.Message, StringComparison.Ordinal);
        await PassTimeUntil(() => streams == 2);
    }

    [Fact]
    public async Task A_stream_that_gives_no_sign_of_life_is_replaced_within_fifteen_seconds()
    {
        var streams = 0;
        _server.On(EtcdMethods.Watch, async http =>
        {
            streams++;
            var watch = new ScriptedWatch(http);
            var create = await watch.ReadCreateAsync();
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, WatchId = create.WatchId });
            await ScriptedServer.HangAsync(http);
        });
        await using var watch = _client.Watch("", 5);
        await ReadAsync(watch, EtcdWatchUpdateKind.Opened, 1);

        _clock.Advance(WatchTimings.Silence + WatchTimings.AnswerLimit);
        await Task.Yield();
        Assert.Equal(1, streams);
        _clock.Advance(TimeSpan.FromSeconds(15) - WatchTimings.Silence - WatchTimings.AnswerLimit);

        await PassTimeUntil(() => streams == 2);
    }

    [Fact]
    public async Task Watches_that_are_disposed_are_cancelled_at_the_server_and_the_last_one_closes_the_stream()
    {
        var cancelled = new List<long>();
        var ended = new TaskCompletionSource();
        _server.On(EtcdMethods.Watch, async http =>
        {
            await ScriptedWatch.ServeAsync(http, r =>
            {
                if (r.CancelRequest is { } cancel)
                {
                    cancelled.Add(cancel.WatchId);
                }
            });
            ended.TrySetResult();
        });
        var a = _client.Watch("a", 5);
        var b = _client.Watch("b", 5);
        await ReadAsync(a, EtcdWatchUpdateKind.Opened, 1);
        await ReadAsync(b, EtcdWatchUpdateKind.Opened, 1);

        await a.DisposeAsync();
        await b.DisposeAsync();

        await Eventually.IsTrue(() => cancelled.Distinct().Count() == 2);
        await PassTimeUntil(() => ended.Task.IsCompleted);
        Assert.Equal(0, await a.ReadAllAsync().CountAsync());
    }

    [Fact]
    public async Task Many_failures_are_told_once_and_do_not_spin()
    {
        _server.On(EtcdMethods.Watch, http => ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader"));
        await using var watch = _client.Watch("", 5);
        await Eventually.IsTrue(() => _server.Calls.Count >= 2);

        for (var i = 0; i < 40; i++)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(250));
            await Task.Delay(5);
        }

        // Ten seconds: pauses of 50 ms that grow to half a second, so about one try for each step of the clock, and not thousands.
        Assert.InRange(_server.Calls.Count, 3, 45);
        await watch.DisposeAsync();
        var updates = await watch.ReadAllAsync().ToListAsync();
        Assert.Equal([EtcdWatchUpdateKind.Interrupted, EtcdWatchUpdateKind.Unavailable], updates.Select(u => u.Kind));
        Assert.All(updates, u => Assert.Contains("no leader", u.Error!.Message, StringComparison.Ordinal));
    }

    private static WatchResponse Events(long id, bool fragment, params (string Key, long Revision)[] events)
    {
        var response = new WatchResponse { Header = ScriptedWatch.Header(events[^1].Revision), WatchId = id, Fragment = fragment };
        response.Events.AddRange(events.Select(e => ScriptedWatch.Put(e.Key, e.Revision)));
        return response;
    }

    private static async Task<List<EtcdWatchUpdate>> ReadAsync(EtcdWatch watch, EtcdWatchUpdateKind kind, int count)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        return await watch.ReadAllAsync(limit.Token).Where(u => u.Kind == kind).Take(count).ToListAsync(limit.Token);
    }

    // Lets the client's clock run until something happened at the server, which answers in real time.
    private Task PassTimeUntil(Func<bool> condition) => Eventually.IsTrue(() =>
    {
        _clock.Advance(TimeSpan.FromMilliseconds(100));
        return condition();
    });
}
