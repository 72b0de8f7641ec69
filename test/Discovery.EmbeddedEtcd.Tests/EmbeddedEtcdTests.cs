using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.EmbeddedEtcd.Tests;

/// <summary>What the embedded etcd has and etcd has not: the clock, the faults, its start and its end.</summary>
public sealed class EmbeddedEtcdTests : IAsyncLifetime, IDisposable
{
    // Kestrel looks for idle connections once a second.
    private static readonly TimeSpan SeveralHeartbeats = TimeSpan.FromSeconds(2.5);

    private static readonly TimeSpan LongEnoughForAPut = TimeSpan.FromMilliseconds(300);

    private readonly FakeTimeProvider _clock = new();
    private EmbeddedEtcdServer _etcd = null!;
    private RawClient _client = null!;

    public async Task InitializeAsync()
    {
        _etcd = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { TimeProvider = _clock });
        _client = new RawClient(_etcd.Endpoint);
    }

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task A_lease_ends_by_the_clock_that_was_given()
    {
        var lease = await _client.GrantAsync(10);
        await _client.PutAsync("a", "1", lease.ID);

        _clock.Advance(TimeSpan.FromSeconds(9.9));
        Assert.Single((await _client.GetAsync("a")).Kvs);
        Assert.Equal(0, (await _client.TimeToLiveAsync(lease.ID)).TTL);
        _clock.Advance(TimeSpan.FromSeconds(0.2));

        Assert.Empty((await _client.GetAsync("a")).Kvs);
        Assert.Equal(-1, (await _client.TimeToLiveAsync(lease.ID)).TTL);
    }

    [Fact]
    public async Task A_lease_that_is_kept_alive_does_not_end()
    {
        var lease = await _client.GrantAsync(10);
        using var stream = _client.KeepAlive();
        for (var i = 0; i < 5; i++)
        {
            _clock.Advance(TimeSpan.FromSeconds(9));
            Assert.Equal(10, (await stream.RenewAsync(lease.ID)).TTL);
        }

        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(0, (await stream.RenewAsync(lease.ID)).TTL);
    }

    [Fact]
    public async Task ExpireLease_ends_a_lease_at_once()
    {
        var lease = await _client.GrantAsync(600);
        await _client.PutAsync("a", "1", lease.ID);

        Assert.True(_etcd.ExpireLease(lease.ID));
        Assert.False(_etcd.ExpireLease(lease.ID));

        Assert.Empty((await _client.GetAsync("a")).Kvs);
    }

    [Fact]
    public async Task Compact_forgets_the_past_and_cancels_watches_of_it()
    {
        await _client.PutAsync("a", "1");
        var revision = (await _client.PutAsync("a", "2")).Header.Revision;

        Assert.Equal(revision, _etcd.Compact());
        Assert.Equal(revision, _etcd.Compact());

        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes(), StartRevision = 2 });
        Assert.Equal(revision, (await watch.NextAsync()).CompactRevision);
    }

    [Fact]
    public async Task DropConnections_breaks_streams_and_lets_clients_come_back()
    {
        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });

        Assert.Equal(1, _etcd.DropConnections());

        // What the client found out by itself, not what a server said.
        Assert.NotNull((await Assert.ThrowsAsync<RpcException>(watch.NextAsync)).Status.DebugException);
        await _client.PutAsync("a", "1");
        Assert.Equal(2, _etcd.Revision);
    }

    [Fact]
    public async Task Clients_that_go_away_in_any_moment_are_no_defect_of_the_server()
    {
        var logs = new LogRecorder();
        using var loggers = LoggerFactory.Create(b => b.AddProvider(logs));
        await using var etcd = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { LoggerFactory = loggers });
        for (var i = 0; i < 10; i++)
        {
            using var client = new RawClient(etcd.Endpoint);
            var watches = new List<WatchCall>();
            var renewals = new List<KeepAliveCall>();
            for (var k = 0; k < 10; k++)
            {
                watches.Add(client.Watch());
                renewals.Add(client.KeepAlive());
                await watches[k].CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });
                await renewals[k].RenewAsync(1);
            }

            if (i % 2 == 0)
            {
                etcd.DropConnections();
            }

            watches.ForEach(w => w.Dispose());
            renewals.ForEach(r => r.Dispose());
        }

        await Eventually.IsTrue(() => etcd.Connections == 0);
        Assert.DoesNotContain(logs.Lines, l => l.StartsWith("Error: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Pause_answers_nothing_until_Resume()
    {
        await _client.PutAsync("a", "1");
        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });

        _etcd.Pause();
        var put = _client.PutAsync("a", "2");
        using var other = new RawClient(_etcd.Endpoint);
        var get = other.GetAsync("a");
        await Eventually.IsTrue(() => _etcd.Connections == 2);
        await Task.Delay(LongEnoughForAPut);
        Assert.False(put.IsCompleted || get.IsCompleted);
        Assert.Equal(2, _etcd.Revision);
        _etcd.Resume();

        await put;
        await get;
        Assert.Equal("2", Assert.Single(await watch.EventsAsync(1)).Kv.Value.ToStringUtf8());
    }

    [Fact]
    public async Task Pause_leaves_pings_unanswered()
    {
        using var client = new RawClient(_etcd.Endpoint, new SocketsHttpHandler
        {
            KeepAlivePingDelay = TimeSpan.FromSeconds(1),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(1),
        });
        using var watch = client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });

        _etcd.Pause();

        Assert.NotNull((await Assert.ThrowsAsync<RpcException>(watch.NextAsync)).Status.DebugException);
    }

    [Fact]
    public async Task A_paused_etcd_can_be_stopped()
    {
        await _client.PutAsync("a", "1");
        _etcd.Pause();
        var put = _client.PutAsync("a", "2");

        await _etcd.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));

        await Assert.ThrowsAnyAsync<Exception>(() => put);
    }

    [Fact]
    public async Task Fail_lets_the_next_calls_fail_and_no_others()
    {
        _etcd.Fail(2, StatusCode.Unavailable, "etcdserver: no leader");

        Assert.Equal((StatusCode.Unavailable, "etcdserver: no leader"), await RawClient.FailureOfAsync(_client.PutAsync("a", "1")));
        using var watch = _client.Watch();
        Assert.Equal(StatusCode.Unavailable, (await RawClient.FailureOfAsync(watch.CreateAsync(new WatchCreateRequest()))).Code);
        await _client.PutAsync("a", "1");
        Assert.Equal(2, _etcd.Revision);
    }

    [Fact]
    public async Task Fail_can_mean_one_method()
    {
        _etcd.Fail(1, StatusCode.Unauthenticated, "etcdserver: invalid auth token", method: "Range");

        await _client.PutAsync("a", "1");

        Assert.Equal(StatusCode.Unauthenticated, (await RawClient.FailureOfAsync(_client.GetAsync("a"))).Code);
        await _client.GetAsync("a");
    }

    [Theory]
    [InlineData(0, StatusCode.Unavailable)]
    [InlineData(1, StatusCode.OK)]
    public void Fail_refuses_what_is_no_failure(int next, StatusCode status)
        => Assert.Throws<ArgumentOutOfRangeException>(() => _etcd.Fail(next, status));

    [Fact]
    public async Task A_transaction_that_etcd_would_not_survive_fails_and_leaves_no_trace()
    {
        var lease = (await _client.GrantAsync(600)).ID;
        await _client.PutAsync("a", "1", lease);
        var impossible = new TxnRequest
        {
            Success =
            {
                new RequestOp { RequestPut = new PutRequest { Key = "0".Bytes() } },
                new RequestOp { RequestDeleteRange = new DeleteRangeRequest { Key = "a".Bytes(), RangeEnd = ByteString.CopyFrom(0) } },
                new RequestOp { RequestPut = new PutRequest { Key = "a".Bytes(), IgnoreValue = true } },
            },
        };

        Assert.Equal((StatusCode.InvalidArgument, "etcdserver: key not found"), await RawClient.FailureOfAsync(_client.TxnAsync(impossible)));

        Assert.Equal(("1", lease, 1L), (await _client.GetAsync("a")).Kvs.Select(kv => (kv.Value.ToStringUtf8(), kv.Lease, kv.Version)).Single());
        Assert.Empty((await _client.GetAsync("0")).Kvs);
        Assert.Single((await _client.TimeToLiveAsync(lease, keys: true)).Keys);
        Assert.Equal(2, _etcd.Revision);
    }

    [Fact]
    public async Task Progress_is_told_by_itself_where_it_was_asked_for_and_nothing_happened()
    {
        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes(), ProgressNotify = true });
        await watch.CreateAsync(new WatchCreateRequest { Key = "b".Bytes() });
        await _client.PutAsync("a", "1");
        await watch.EventsAsync(1);

        _clock.Advance(TimeSpan.FromMinutes(10));
        await _client.PutAsync("c", "1");
        _clock.Advance(TimeSpan.FromMinutes(10));

        var progress = await watch.NextAsync();
        Assert.Equal((0, 0, _etcd.Revision), (progress.WatchId, progress.Events.Count, progress.Header.Revision));
    }

    [Fact]
    public async Task An_idle_connection_stays_open()
    {
        await _client.PutAsync("a", "1");

        await Task.Delay(SeveralHeartbeats);

        Assert.Equal(1, _etcd.Connections);
    }

    [Fact]
    public async Task Two_instances_have_nothing_in_common()
    {
        await using var other = await EmbeddedEtcdServer.StartAsync();
        using var otherClient = new RawClient(other.Endpoint);
        await otherClient.PutAsync("a", "1");

        var response = await _client.GetAsync("a");

        Assert.Empty(response.Kvs);
        Assert.NotEqual(response.Header.ClusterId, (await otherClient.GetAsync("a")).Header.ClusterId);
        Assert.NotEqual(_etcd.Endpoint, other.Endpoint);
    }

    [Fact]
    public async Task Stopping_ends_streams_with_a_status_and_frees_the_port()
    {
        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });

        await _etcd.DisposeAsync();

        // The end of the connection may overtake the trailers at the client, which then finds a status of its own.
        var failure = await Assert.ThrowsAsync<RpcException>(watch.NextAsync);
        Assert.True(failure is { StatusCode: StatusCode.Unavailable, Status.Detail: "etcdserver: server stopped" } || failure.Status.DebugException is not null, $"{failure.Status}");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var endpoint = new Uri(_etcd.Endpoint);
        Assert.Throws<SocketException>(() => socket.Connect(endpoint.Host, endpoint.Port));
        await using var again = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { Port = endpoint.Port });
        Assert.Equal(_etcd.Endpoint, again.Endpoint);
    }

    [Fact]
    public async Task Stopping_from_several_threads_stops_once_and_all_wait_for_it()
    {
        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            await _etcd.DisposeAsync();
            Assert.Equal(0, _etcd.Connections);
        })));
    }

    [Fact]
    public async Task A_deadline_ends_a_call_on_the_server()
    {
        // Without a client library, which would end the call by its own clock.
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_etcd.Endpoint + "/etcdserverpb.Watch/Watch"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StreamContent(new MemoryStream(Frame(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = "a".Bytes() } }))),
            Headers = { { "te", "trailers" }, { "grpc-timeout", "300m" } },
        };
        request.Content.Headers.ContentType = new("application/grpc");

        using var response = await http.SendAsync(request);
        await response.Content.ReadAsByteArrayAsync();

        Assert.Equal("4", Assert.Single(response.TrailingHeaders.GetValues("grpc-status")));
        await Eventually.IsTrue(() => _etcd.Watchers == 0);

        static byte[] Frame(IMessage message)
        {
            var frame = new byte[5 + message.CalculateSize()];
            BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), frame.Length - 5);
            message.WriteTo(frame.AsSpan(5));
            return frame;
        }
    }

    [Fact]
    public async Task Compressed_requests_are_read()
    {
        var put = new PutRequest { Key = "a".Bytes(), Value = new string('v', 100_000).Bytes() };

        await RawClient.AnswerAsync(_client.KeyValues.PutAsync(put, new Metadata { { "grpc-internal-encoding-request", "gzip" } }));

        Assert.Equal(put.Value, Assert.Single((await _client.GetAsync("a")).Kvs).Value);
    }

    [Fact]
    public async Task A_compressed_request_is_measured_as_it_was()
    {
        var put = new PutRequest { Key = "a".Bytes(), Value = new string('v', 2_200_000).Bytes() };

        var (code, detail) = await RawClient.FailureOfAsync(
            RawClient.AnswerAsync(_client.KeyValues.PutAsync(put, new Metadata { { "grpc-internal-encoding-request", "gzip" } })));

        Assert.Equal((StatusCode.ResourceExhausted, "grpc: received message larger than max (2200008 vs. 2097152)"), (code, detail));
    }

    [Fact]
    public async Task It_says_which_etcd_it_follows() => Assert.Equal("3.5.30+embedded", (await _client.StatusAsync()).Version);

    [Fact]
    public async Task An_unknown_method_is_named()
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_etcd.Endpoint + "/etcdserverpb.Auth/UserList"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(new byte[5]) { Headers = { ContentType = new("application/grpc") } },
        };

        using var response = await http.SendAsync(request);

        Assert.Equal("12", Assert.Single(response.Headers.GetValues("grpc-status")));
        Assert.Equal("etcdserverpb.Auth/UserList is not supported by the embedded etcd", Assert.Single(response.Headers.GetValues("grpc-message")));
    }

    [Fact]
    public async Task What_is_no_grpc_is_refused()
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false })
        {
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

        using var response = await http.GetAsync(new Uri(_etcd.Endpoint + "/health"));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task A_watch_of_the_future_has_no_progress_by_itself_before_it_begins()
    {
        using var watch = _client.Watch();
        await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes(), ProgressNotify = true, StartRevision = 2 });
        _clock.Advance(TimeSpan.FromMinutes(10));
        await _client.PutAsync("b", "1");
        _clock.Advance(TimeSpan.FromMinutes(10));

        var progress = await watch.NextAsync();
        Assert.Equal((0, 0, 2), (progress.WatchId, progress.Events.Count, progress.Header.Revision));
    }

    [Fact]
    public async Task A_watcher_that_went_away_is_forgotten()
    {
        for (var i = 0; i < 20; i++)
        {
            using var watch = _client.Watch();
            await watch.CreateAsync(new WatchCreateRequest { Key = "a".Bytes() });
        }

        await Eventually.IsTrue(() => _etcd.Watchers == 0);
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        var port = new Uri(_etcd.Endpoint).Port;

        var error = await Assert.ThrowsAsync<IOException>(() => EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { Port = port }));

        Assert.Contains($"EmbeddedEtcdOptions.Port {port}", error.Message, StringComparison.Ordinal);
        Assert.Contains($"set Etcd:Endpoints to {_etcd.Endpoint} and EmbeddedEtcdOptions.SkipIfEndpointsConfigured to true", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Port")]
    [InlineData("RetainedRevisions")]
    [InlineData("WatchProgressInterval")]
    public async Task Wrong_options_are_named(string option)
    {
        var options = option switch
        {
            "Port" => new EmbeddedEtcdOptions { Port = 70_000 },
            "RetainedRevisions" => new EmbeddedEtcdOptions { RetainedRevisions = -1 },
            _ => new EmbeddedEtcdOptions { WatchProgressInterval = TimeSpan.Zero },
        };

        var error = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => EmbeddedEtcdServer.StartAsync(options));

        Assert.Contains($"EmbeddedEtcdOptions.{option}", error.Message, StringComparison.Ordinal);
    }
}
