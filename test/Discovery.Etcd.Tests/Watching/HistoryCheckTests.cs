using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>Whether the cluster that answers after a break still has the history that the watch has seen.</summary>
public sealed class HistoryCheckTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _clock = new();
    private ScriptedServer _server = null!;
    private EtcdClient _client = null!;
    private int _streams;
    private int _reads;

    public async Task InitializeAsync()
    {
        _server = await ScriptedServer.StartAsync();
        _client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromMinutes(2) },
            timeProvider: _clock);
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_raft_term_that_went_back_at_a_majority_means_a_new_list_although_the_revision_went_on()
    {
        ServeStreams(first: Header(20, term: 7), then: Header(90, term: 2));
        ServeReads(Header(90, term: 2));
        await using var watch = _client.Watch("", 5);

        var updates = await ReadAsync(watch, EtcdWatchUpdateKind.ListAgain);

        Assert.Contains("raft term went back from 7 to 2", updates[^1].Error!.Message, StringComparison.Ordinal);

        // The new cluster's term is the one that counts from here on.
        watch.Restart(91, 1);
        await ReadAsync(watch, EtcdWatchUpdateKind.Opened);
        Assert.DoesNotContain(EtcdWatchUpdateKind.ListAgain, (await ReadAsync(watch, EtcdWatchUpdateKind.Progress)).Select(u => u.Kind));
    }

    [Fact]
    public async Task A_member_with_an_earlier_term_is_no_reason_to_list_while_a_majority_has_the_later_one()
    {
        ServeStreams(first: Header(20, term: 7), then: Header(20, term: 6), change: 21);
        ServeReads(Header(21, term: 7));
        await using var watch = _client.Watch("", 5);

        var updates = await ReadAsync(watch, EtcdWatchUpdateKind.Changed);

        Assert.DoesNotContain(EtcdWatchUpdateKind.ListAgain, updates.Select(u => u.Kind));
    }

    [Fact]
    public async Task A_revision_that_went_back_is_noticed_although_the_first_check_gets_no_answer()
    {
        ServeStreams(first: Header(20, term: 2), then: Header(3, term: 2));
        _server.On(EtcdMethods.Range, http => Interlocked.Increment(ref _reads) <= 2
            ? ScriptedServer.RefuseAsync(http, StatusCode.Internal, "etcdserver: some trouble")
            : ScriptedServer.AnswerAsync(http, new RangeResponse { Header = Header(3, term: 2) }));
        await using var watch = _client.Watch("", 5);

        var updates = await ReadAsync(watch, EtcdWatchUpdateKind.ListAgain);

        Assert.Contains("revision went back from 4 to 3", updates[^1].Error!.Message, StringComparison.Ordinal);
        Assert.True(Volatile.Read(ref _reads) >= 3);
    }

    private static ResponseHeader Header(long revision, ulong term) => new() { Revision = revision, ClusterId = 1, RaftTerm = term };

    private void ServeReads(ResponseHeader header) => _server.On(EtcdMethods.Range, http =>
    {
        Interlocked.Increment(ref _reads);
        return ScriptedServer.AnswerAsync(http, new RangeResponse { Header = header });
    });

    // The first stream breaks once it is open; the next one stays, and brings a change after the history was checked.
    private void ServeStreams(ResponseHeader first, ResponseHeader then, long? change = null) => _server.On(EtcdMethods.Watch, async http =>
    {
        var watch = new ScriptedWatch(http);
        var create = await watch.ReadCreateAsync();
        var isFirst = Interlocked.Increment(ref _streams) == 1;
        await watch.SendAsync(new WatchResponse { Header = isFirst ? first : then, Created = true, WatchId = create.WatchId });
        if (isFirst)
        {
            watch.End();
            return;
        }

        if (change is { } revision)
        {
            await Eventually.IsTrue(() => Volatile.Read(ref _reads) > 0);
            await watch.SendAsync(new WatchResponse { Header = then, WatchId = create.WatchId, Events = { ScriptedWatch.Put("a", revision) } });
        }

        while (await watch.ReadAsync() is { } request)
        {
            if (request.CreateRequest is { } again)
            {
                await watch.SendAsync(new WatchResponse { Header = then, Created = true, WatchId = again.WatchId });
            }
            else if (request.ProgressRequest is not null)
            {
                await watch.SendAsync(new WatchResponse { Header = then, WatchId = -1 });
            }
        }
    });

    private async Task<List<EtcdWatchUpdate>> ReadAsync(EtcdWatch watch, EtcdWatchUpdateKind last)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var updates = new List<EtcdWatchUpdate>();
        var reading = Task.Run(async () =>
        {
            await foreach (var update in watch.ReadAllAsync(limit.Token))
            {
                updates.Add(update);
                if (update.Kind == last)
                {
                    return;
                }
            }
        });

        // The pauses of the client run on its clock.
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(100));
            return reading.IsCompleted;
        });
        await reading;
        return updates;
    }
}
