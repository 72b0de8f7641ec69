using System.Collections.Concurrent;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Watching;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>When a stream is kept, when another one is opened, over which connection, and what is said about it.</summary>
public sealed class StreamLifeTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _clock = new();
    private readonly LogRecorder _log = new();
    private readonly ConcurrentQueue<string> _connections = new();
    private readonly ConcurrentQueue<WatchCreateRequest> _creates = new();
    private readonly ConcurrentQueue<EtcdWatchUpdate> _updates = new();
    private ILoggerFactory _loggers = null!;
    private ScriptedServer _server = null!;
    private EtcdClient _client = null!;

    public async Task InitializeAsync()
    {
        _loggers = LoggerFactory.Create(b => b.SetMinimumLevel(LogLevel.Trace).AddProvider(_log));
        _server = await ScriptedServer.StartAsync();
        _client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromMinutes(2) }, _loggers, _clock);
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
        _loggers.Dispose();
    }

    [Fact]
    public async Task A_quiet_etcd_that_answers_no_progress_request_keeps_its_stream_and_nothing_is_logged()
    {
        _server.On("Watch", ServeQuietlyAsync);
        await using var watch = _client.Watch("quiet/", 11);
        _ = FollowAsync(watch);

        await LiveAsync(TimeSpan.FromMinutes(10));

        Assert.Single(_connections);
        Assert.Equal([EtcdWatchUpdateKind.Opened, EtcdWatchUpdateKind.Progress], _updates.Select(u => u.Kind).Distinct());
        Assert.All(_updates, u => Assert.Equal(10, u.Revision));
        Assert.Empty(_log.Lines);
    }

    [Fact]
    public async Task A_stream_is_opened_again_about_every_hour_and_nobody_notices()
    {
        _server.On("Watch", ServeQuietlyAsync);
        await using var watch = _client.Watch("quiet/", 11);
        _ = FollowAsync(watch);

        await LiveAsync(TimeSpan.FromMinutes(76));

        Assert.Equal(2, _connections.Count);
        Assert.Equal(2, _connections.Distinct().Count());
        Assert.Equal([EtcdWatchUpdateKind.Opened, EtcdWatchUpdateKind.Progress], _updates.Select(u => u.Kind).Distinct());
        Assert.Equal([11, 11], _creates.Where(c => c.Key.ToStringUtf8() == "quiet/").Select(c => c.StartRevision));
        Assert.DoesNotContain(_log.Lines, l => !l.StartsWith("Debug: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stream_that_fled_returns_within_the_hour_and_nobody_notices()
    {
        await using var other = await ScriptedServer.StartAsync();
        var streams = new ConcurrentQueue<ScriptedServer>();
        ScriptedServer? down = null;
        var failing = new TaskCompletionSource();
        foreach (var server in (ScriptedServer[])[_server, other])
        {
            server.On("Watch", http =>
            {
                streams.Enqueue(server);
                _ = failing.Task.ContinueWith(_ => http.Abort(), TaskScheduler.Default);
                return server == Volatile.Read(ref down) ? ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader") : ServeQuietlyAsync(http);
            });
        }

        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [_server.Endpoint, other.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1) }, _loggers, _clock);
        await using var watch = client.Watch("quiet/", 11);
        _ = FollowAsync(watch);
        await LiveAsync(TimeSpan.FromSeconds(9));
        var home = streams.Single();
        Volatile.Write(ref down, home);
        failing.SetResult();
        failing = new TaskCompletionSource();
        await PassTimeUntil(() => _updates.Count(u => u.Kind == EtcdWatchUpdateKind.Opened) == 2);
        Volatile.Write(ref down, null);
        var before = streams.Count;
        Assert.NotSame(home, streams.Last());

        await LiveAsync(TimeSpan.FromMinutes(58));

        Assert.Same(home, Assert.Single(streams.Skip(before)));
        Assert.Equal(1, _updates.Count(u => u.Kind == EtcdWatchUpdateKind.Interrupted));
        Assert.DoesNotContain(_log.Lines, l => !l.StartsWith("Debug: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stream_at_an_endpoint_of_another_cluster_goes_to_the_clients_own()
    {
        await using var other = await ScriptedServer.StartAsync();
        foreach (var (server, cluster) in (ReadOnlySpan<(ScriptedServer, ulong)>)[(_server, 1UL), (other, 2UL)])
        {
            var header = new ResponseHeader { Revision = 10, ClusterId = cluster };
            server.On("Range", () => new RangeResponse { Header = header });
            server.On("Status", () => new StatusResponse { Header = header });
            server.On("Watch", http => ScriptedWatch.ServeAsync(http, _ => { }, header));
        }

        for (var i = 0; i < 6; i++)
        {
            await using var client = new EtcdClient(
                new EtcdClientOptions { Endpoints = [_server.Endpoint, other.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1) }, _loggers, _clock);
            var listing = await client.ListAsync("a");
            await using var watch = client.Watch("a", listing.Revision + 1, listing.ClusterId);
            var kinds = new ConcurrentQueue<EtcdWatchUpdateKind>();
            _ = Task.Run(async () =>
            {
                await foreach (var update in watch.ReadAllAsync())
                {
                    kinds.Enqueue(update.Kind);
                }
            });

            await PassTimeUntil(() => kinds.Contains(EtcdWatchUpdateKind.Opened));
            Assert.DoesNotContain(EtcdWatchUpdateKind.ListAgain, kinds);
        }
    }

    [Fact]
    public async Task While_no_stream_can_be_opened_readers_know_and_an_outage_is_two_lines()
    {
        var isDown = true;
        _server.On("Watch", http =>
        {
            _connections.Enqueue(http.Connection.Id);
            return Volatile.Read(ref isDown)
                ? ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader")
                : ScriptedWatch.ServeAsync(http, _ => { });
        });
        await using var watch = _client.Watch("a", 5);
        _ = FollowAsync(watch);

        await PassTimeUntil(() => _updates.Any(u => u.Kind == EtcdWatchUpdateKind.Unavailable));
        await PassTimeUntil(() => _connections.Count > 30);
        Volatile.Write(ref isDown, false);
        await PassTimeUntil(() => _log.At(LogLevel.Information).Count > 0);

        Assert.Equal(
            [EtcdWatchUpdateKind.Interrupted, EtcdWatchUpdateKind.Unavailable, EtcdWatchUpdateKind.Opened],
            _updates.Select(u => u.Kind).Where(k => k != EtcdWatchUpdateKind.Progress));
        Assert.Contains("no leader", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);
        Assert.Contains("open again", Assert.Single(_log.At(LogLevel.Information)), StringComparison.Ordinal);
        Assert.Empty(_log.At(LogLevel.Error));

        // The only endpoint may have several members behind it: dialled anew after the second refusal, then after the 4th, 8th and 16th.
        Assert.Equal(_connections.First(), _connections.ElementAt(1));
        Assert.NotEqual(_connections.First(), _connections.ElementAt(2));
        Assert.InRange(_connections.Distinct().Count(), 4, 7);
    }

    [Theory]
    [InlineData(1.3)]
    [InlineData(3)]
    public async Task A_slow_etcd_gets_the_watch_open_over_two_connections_at_most(double seconds)
    {
        _server.On("Watch", async http =>
        {
            _connections.Enqueue(http.Connection.Id);
            var watch = new ScriptedWatch(http);
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CreateRequest is { } create)
                {
                    // This is how slow it is; nothing waits for it but the client.
                    await Task.Delay(TimeSpan.FromSeconds(seconds));
                    await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, WatchId = create.WatchId });
                }
            }
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_server.Endpoint] });
        await using var watch = client.Watch("a", 5);
        _ = FollowAsync(watch);

        await Eventually.IsTrue(() => _updates.Any(u => u.Kind == EtcdWatchUpdateKind.Opened));

        Assert.InRange(_connections.Distinct().Count(), 1, 2);
        Assert.InRange(_connections.Count, 1, 4);
    }

    [Fact]
    public async Task A_restored_cluster_is_not_taken_for_a_member_that_is_cut_off()
    {
        _server.On("Watch", ServeQuietlyAsync);
        var revision = 100;
        _server.On("Range", () => new RangeResponse { Header = ScriptedWatch.Header(Volatile.Read(ref revision)) });
        await _client.GetAsync("x");
        Volatile.Write(ref revision, 10);
        await using var watch = _client.Watch("a", 0);
        _ = FollowAsync(watch);

        await LiveAsync(TimeSpan.FromMinutes(2));

        Assert.Single(_connections);
        Assert.DoesNotContain(_updates, u => u.Kind == EtcdWatchUpdateKind.Interrupted);
    }

    [Fact]
    public async Task A_stream_whose_token_is_stale_is_opened_again_within_minutes_and_nobody_is_told()
    {
        var tokens = 0;
        var isStale = false;
        _server.On("Authenticate", () => new AuthenticateResponse { Header = ScriptedWatch.Header(10), Token = $"token {Interlocked.Increment(ref tokens)}" });
        _server.On("Watch", async http =>
        {
            _connections.Enqueue(http.Request.Headers["token"].ToString());
            var watch = new ScriptedWatch(http);
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CreateRequest is { } create)
                {
                    var refuse = Volatile.Read(ref isStale) && http.Request.Headers["token"] == "token 1";
                    await watch.SendAsync(refuse ? Refusal("etcdserver: invalid auth token") : AnswerTo(create));
                }
            }
        });
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), Username = "u", Password = "p" }, _loggers, _clock);
        await using var watch = client.Watch("quiet/", 11);
        _ = FollowAsync(watch);
        await LiveAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(["token 1"], _connections);

        Volatile.Write(ref isStale, true);
        await LiveAsync(TimeSpan.FromMinutes(6));

        Assert.Equal(["token 1", "token 2"], _connections);
        Assert.Equal([EtcdWatchUpdateKind.Opened, EtcdWatchUpdateKind.Progress], _updates.Select(u => u.Kind).Distinct());
    }

    // As etcd 3.5 and later do in a quiet cluster, where all watches wait for a revision that is yet to come.
    private async Task ServeQuietlyAsync(HttpContext http)
    {
        _connections.Enqueue(http.Connection.Id);
        var watch = new ScriptedWatch(http);
        while (await watch.ReadAsync() is { } request)
        {
            if (request.CreateRequest is { } create)
            {
                _creates.Enqueue(create);
                await watch.SendAsync(AnswerTo(create));
            }
        }
    }

    private static WatchResponse AnswerTo(WatchCreateRequest create) => create.RangeEnd.Span.SequenceCompareTo(create.Key.Span) <= 0
        ? Refusal("mvcc: watcher range is empty")
        : new() { Header = ScriptedWatch.Header(10), Created = true, WatchId = create.WatchId };

    private static WatchResponse Refusal(string reason) =>
        new() { Header = ScriptedWatch.Header(10), Created = true, Canceled = true, WatchId = -1, CancelReason = reason };

    private async Task FollowAsync(EtcdWatch watch)
    {
        await foreach (var update in watch.ReadAllAsync())
        {
            _updates.Enqueue(update);
        }
    }

    // Lets the client's clock run for so long, and waits for each sign of life in real time.
    private async Task LiveAsync(TimeSpan time)
    {
        await Eventually.IsTrue(() => _updates.Any(u => u.Kind == EtcdWatchUpdateKind.Opened));
        for (var passed = TimeSpan.Zero; passed < time; passed += WatchTimings.Silence)
        {
            var before = _updates.Count;
            _clock.Advance(WatchTimings.Silence);
            await Eventually.IsTrue(() => _updates.Count > before);
        }
    }

    private Task PassTimeUntil(Func<bool> condition) => Eventually.IsTrue(() =>
    {
        _clock.Advance(TimeSpan.FromMilliseconds(100));
        return condition();
    });
}
