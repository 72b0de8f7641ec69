using Discovery.Etcd.Calls;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using static Discovery.Etcd.Tests.ScriptedServer;

namespace Discovery.Etcd.Tests.Calls;

/// <summary>What Grpc.Net.Client does by default, or calls by a misleading name, and must not change how we behave.</summary>
public sealed class LibraryTrapsTests : IAsyncLifetime
{
    private const int HttpCancel = 8;

    private static readonly RangeResponse Good = new() { Header = new ResponseHeader { Revision = 7, ClusterId = 1 } };

    private ScriptedServer _server = null!;

    public async Task InitializeAsync() => _server = await StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task A_cancellation_by_the_server_ends_a_watch_stream_like_any_other_failure()
    {
        var streams = 0;
        _server.On(EtcdMethods.Watch, async http =>
        {
            var isFirst = Interlocked.Increment(ref streams) == 1;
            var watch = new ScriptedWatch(http);
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(4), Created = true, WatchId = (await watch.ReadCreateAsync()).WatchId });
            if (isFirst)
            {
                http.Response.AppendTrailer("grpc-status", $"{(int)StatusCode.Cancelled}");
                return;
            }

            await HangAsync(http);
        });
        await using var client = Connect();
        await using var watch = client.Watch("a", 5);
        await using var updates = watch.ReadAllAsync().GetAsyncEnumerator();

        Assert.True(await updates.MoveNextAsync());
        Assert.Equal(EtcdWatchUpdateKind.Opened, updates.Current.Kind);
        Assert.True(await updates.MoveNextAsync());
        Assert.Equal((EtcdWatchUpdateKind.Interrupted, StatusCode.Cancelled), (updates.Current.Kind, updates.Current.Error!.StatusCode));
        Assert.True(await updates.MoveNextAsync());
        Assert.Equal(EtcdWatchUpdateKind.Opened, updates.Current.Kind);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("reset")]
    public async Task A_cancellation_by_the_server_does_not_end_the_renewal_of_a_lease(string how)
    {
        var streams = 0;
        _server.On(EtcdMethods.LeaseKeepAlive, async http =>
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
            if (Interlocked.Increment(ref streams) == 1)
            {
                if (how == "reset")
                {
                    http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(HttpCancel);
                    return;
                }

                await RefuseAsync(http, StatusCode.Cancelled, "");
                return;
            }

            await AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 17 });
        });
        await using var client = Connect();

        Assert.Equal(TimeSpan.FromSeconds(17), (await client.RenewLeaseAsync(5))?.TimeToLive);
    }

    [Fact]
    public async Task A_call_that_the_server_cancelled_is_made_again()
    {
        var calls = 0;
        _server.On(EtcdMethods.Range, http =>
        {
            switch (Interlocked.Increment(ref calls))
            {
                case 1:
                    return RefuseAsync(http, StatusCode.Cancelled, "");
                case 2:
                    http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(HttpCancel);
                    return Task.CompletedTask;
                default:
                    return AnswerAsync(http, Good);
            }
        });
        await using var client = Connect();

        Assert.Null(await client.GetAsync("a"));
        Assert.Equal(3, calls);
    }

    [Theory]
    [InlineData(StatusCode.Internal, true, "Connection")]
    [InlineData(StatusCode.Cancelled, true, "Connection")]
    [InlineData(StatusCode.ResourceExhausted, true, "Connection")]
    [InlineData(StatusCode.ResourceExhausted, false, "Status")]
    [InlineData(StatusCode.Unavailable, false, "Status")]
    public void Local_causes_are_known_by_their_exception_and_not_by_the_code(StatusCode code, bool isLocal, string kind)
    {
        var failure = CallFailedException.From(new RpcException(new Status(code, "x", isLocal ? new HttpRequestException("broken") : null)));

        Assert.Equal(kind, failure.Kind.ToString());
        Assert.Equal(isLocal || code == StatusCode.Unavailable, failure.IsTransient);
    }

    [Fact]
    public async Task A_large_answer_is_read()
    {
        var large = Good.Clone();
        large.Kvs.Add(new KeyValue { Key = ByteString.CopyFromUtf8("a"), Value = ByteString.CopyFrom(new byte[6 * 1024 * 1024]) });
        _server.On(EtcdMethods.Range, () => large);
        await using var client = Connect();

        Assert.Equal(6 * 1024 * 1024, (await client.GetAsync("a"))!.Value.Length);
    }

    [Fact]
    public async Task Limits_follow_the_clock_that_the_client_was_given()
    {
        var clock = new FakeTimeProvider();
        await using var client = Connect(clock);
        var ours = client.GetAsync("a");
        var users = new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest(), deadline: clock.GetUtcNow().UtcDateTime.AddHours(2)).ResponseAsync;
        await Eventually.IsTrue(() => _server.Calls.Count >= 2);
        Assert.False(ours.IsCompleted || users.IsCompleted);

        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<EtcdException>(() => ours)).StatusCode);
        Assert.False(users.IsCompleted);
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAnyAsync<RpcException>(() => users)).StatusCode);
    }

    [Fact]
    public async Task A_failed_attempt_is_no_error_in_the_log()
    {
        var calls = 0;
        _server.On(EtcdMethods.Range, http => Interlocked.Increment(ref calls) < 2 ? RefuseAsync(http, StatusCode.Unavailable, "no") : AnswerAsync(http, Good));
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Trace).AddProvider(log));
        await using var client = Connect(loggers: loggers);

        await client.GetAsync("a");

        Assert.Equal(2, calls);
        Assert.All([LogLevel.Warning, LogLevel.Error, LogLevel.Critical], level => Assert.Empty(log.At(level)));
    }

    [Fact]
    public async Task After_failed_connections_the_next_one_is_made_without_a_long_pause()
    {
        _server.On(EtcdMethods.Range, () => Good);
        await using var proxy = TcpProxy.Start(new Uri(_server.Endpoint).Port);
        await using var client = new EtcdClient(new EtcdClientOptions
        {
            Endpoints = [proxy.Endpoint],
            AttemptTimeout = TimeSpan.FromMinutes(1),
            RequestTimeout = TimeSpan.FromMinutes(1),
        });
        proxy.Refuses = true;
        var call = client.GetAsync("a");

        // The channel's own connecting would pause for 1 s, 1.6 s, 2.6 s and so on: a minute and a half for ten.
        await Eventually.IsTrue(() => proxy.Accepted >= 10, TimeSpan.FromSeconds(20));
        proxy.Refuses = false;
        await call;
    }

    // No attempt ends by its own limit, however busy the machine, unless the test's clock says so.
    private EtcdClient Connect(TimeProvider? clock = null, ILoggerFactory? loggers = null) => new(
        new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromHours(1) }, loggers, clock);
}
