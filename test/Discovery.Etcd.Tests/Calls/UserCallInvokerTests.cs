using System.Collections.Concurrent;
using Discovery.Etcd.Auth;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using static Discovery.Etcd.Tests.ScriptedServer;

namespace Discovery.Etcd.Tests.Calls;

public sealed class UserCallInvokerTests : IAsyncLifetime
{
    private static readonly PutResponse Done = new() { Header = new ResponseHeader { Revision = 3 } };

    private readonly ConcurrentQueue<string> _tokens = new();
    private ScriptedServer _one = null!;
    private ScriptedServer _two = null!;
    private int _authentications;

    public async Task InitializeAsync()
    {
        _one = await StartAsync();
        _two = await StartAsync();
        OnBoth(EtcdMethods.Authenticate, http => AnswerAsync(http, new AuthenticateResponse { Token = $"t{Interlocked.Increment(ref _authentications)}" }));
    }

    public async Task DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Fact]
    public async Task What_only_reads_is_tried_elsewhere()
    {
        _one.On(EtcdMethods.Range, http => RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader"));
        _two.On(EtcdMethods.Range, () => new RangeResponse { Count = 5 });
        await using var client = Connect();
        var stub = new KV.KVClient(client.CreateCallInvoker());

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(5, (await stub.RangeAsync(new RangeRequest())).Count);
        }
    }

    [Fact]
    public async Task What_writes_is_sent_once_where_it_may_have_been_carried_out()
    {
        OnBoth(EtcdMethods.Put, http => { http.Abort(); return Task.CompletedTask; });
        await using var client = Connect();

        var error = await Assert.ThrowsAnyAsync<RpcException>(async () => await new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest()));

        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.Equal(1, CallsOf(EtcdMethods.Put));
    }

    [Fact]
    public async Task What_writes_goes_elsewhere_when_no_connection_could_be_made()
    {
        _two.On(EtcdMethods.Put, () => Done);
        await using var dead = TcpProxy.Start(1);
        dead.Refuses = true;
        for (var i = 0; i < 8; i++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect(o => o.Endpoints = ["http://127.0.0.1:1", _two.Endpoint]);
            Assert.Equal(3, (await new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest())).Header.Revision);
        }

        Assert.Equal(8, CallsOf(EtcdMethods.Put));
    }

    [Theory]
    [InlineData("Unknown", "raft proposal dropped")]
    [InlineData("FailedPrecondition", "etcdserver: rpc not supported for learner")]
    public async Task What_writes_goes_elsewhere_when_a_member_refused_it_before_it_did_anything(string code, string refusal)
    {
        _one.On(EtcdMethods.Put, http => RefuseAsync(http, Enum.Parse<StatusCode>(code), refusal));
        _two.On(EtcdMethods.Put, () => Done);
        for (var i = 0; i < 8; i++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect();
            Assert.Equal(3, (await new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest())).Header.Revision);
        }
    }

    [Fact]
    public async Task Without_any_connection_a_write_fails_in_the_end()
    {
        await using var client = Connect(o => (o.Endpoints, o.RequestTimeout) = (["http://127.0.0.1:1"], TimeSpan.FromMilliseconds(300)));

        var error = await Assert.ThrowsAnyAsync<RpcException>(async () => await new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest()));

        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.Contains("was not sent", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_that_waits_is_given_all_the_time_it_takes()
    {
        var clock = new FakeTimeProvider();
        var release = new TaskCompletionSource();
        OnBoth(EtcdMethods.Txn, async http =>
        {
            await release.Task;
            await AnswerAsync(http, new TxnResponse { Succeeded = true });
        });
        await using var client = Connect(o => (o.AttemptTimeout, o.RequestTimeout) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5)), clock);
        var call = new KV.KVClient(client.CreateCallInvoker()).TxnAsync(new TxnRequest()).ResponseAsync;
        await Eventually.IsTrue(() => CallsOf(EtcdMethods.Txn) == 1);

        for (var i = 0; i < 60; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.False(call.IsCompleted);
        release.SetResult();
        Assert.True((await call).Succeeded);
        Assert.Equal(1, CallsOf(EtcdMethods.Txn));
    }

    [Fact]
    public async Task The_deadline_ends_a_call()
    {
        var clock = new FakeTimeProvider();
        await using var client = Connect(clock: clock);
        var call = new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest(), deadline: clock.GetUtcNow().UtcDateTime.AddSeconds(10)).ResponseAsync;
        await Eventually.IsTrue(() => CallsOf(EtcdMethods.Put) == 1);

        clock.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAnyAsync<RpcException>(() => call)).StatusCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cancelling_or_disposing_a_call_ends_it_as_gRPC_does(bool isCancelled)
    {
        await using var client = Connect();
        using var cancelled = new CancellationTokenSource();
        using var call = new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest(), cancellationToken: cancelled.Token);
        await Eventually.IsTrue(() => CallsOf(EtcdMethods.Put) == 1);

        if (isCancelled)
        {
            await cancelled.CancelAsync();
        }
        else
        {
            call.Dispose();
        }

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAnyAsync<RpcException>(async () => await call)).StatusCode);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        await Assert.ThrowsAnyAsync<RpcException>(() => call.ResponseHeadersAsync);
    }

    [Fact]
    public async Task Headers_go_both_ways_beside_the_token()
    {
        OnBoth(EtcdMethods.Put, async http =>
        {
            http.Response.Headers["member"] = $"{http.Request.Headers["who"]} {http.Request.Headers["token"]}";
            await AnswerAsync(http, Done);
            http.Response.AppendTrailer("cost", "7");
        });
        await using var client = Connect(WithUser);
        using var call = new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest(), new Metadata { { "who", "me" } });

        await call;

        Assert.Equal("me t1", (await call.ResponseHeadersAsync).GetValue("member"));
        Assert.Equal("7", call.GetTrailers().GetValue("cost"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_token_that_is_refused_is_fetched_anew_and_the_call_made_again()
    {
        OnBoth(EtcdMethods.Put, http => http.Request.Headers["token"] == "t1"
            ? RefuseAsync(http, StatusCode.Unauthenticated, "etcdserver: invalid auth token")
            : AnswerAsync(http, Done));
        await using var client = Connect(WithUser);

        Assert.Equal(3, (await new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest())).Header.Revision);
        Assert.Equal((2, 2), (_authentications, CallsOf(EtcdMethods.Put)));
    }

    [Fact]
    public async Task A_stream_carries_the_token_without_TLS_too_and_the_next_one_a_new_token_after_a_refusal()
    {
        OnBoth(EtcdMethods.Watch, http =>
        {
            _tokens.Enqueue(http.Request.Headers["token"]!);
            return RefuseAsync(http, StatusCode.Unauthenticated, "etcdserver: invalid auth token");
        });
        await using var client = Connect(WithUser);
        var stub = new Watch.WatchClient(client.CreateCallInvoker());
        for (var i = 0; i < 2; i++)
        {
            using var call = stub.Watch();
            Assert.Equal(StatusCode.Unauthenticated, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(default))).StatusCode);
        }

        Assert.Equal(["t1", "t2"], _tokens);
    }

    [Fact]
    public async Task A_stream_that_broke_is_followed_by_one_at_another_endpoint()
    {
        _one.On(EtcdMethods.Watch, http => { http.Abort(); return Task.CompletedTask; });
        _two.On(EtcdMethods.Watch, http => ScriptedWatch.ServeAsync(http, _ => { }));
        await using var client = Connect();
        var stub = new Watch.WatchClient(client.CreateCallInvoker());

        await Eventually.IsTrue(async () =>
        {
            using var call = stub.Watch();
            try
            {
                await call.RequestStream.WriteAsync(new WatchRequest { CreateRequest = new WatchCreateRequest { WatchId = 9 } });
                return await call.ResponseStream.MoveNext(default) && call.ResponseStream.Current.WatchId == 9;
            }
            catch (Exception e) when (e is RpcException or InvalidOperationException)
            {
                return false;
            }
        });
        Assert.InRange(_one.Calls.Count, 0, 2);
    }

    [Theory]
    [InlineData("unary")]
    [InlineData("read to its end")]
    [InlineData("refused")]
    [InlineData("disposed")]
    public async Task Connections_are_given_back_when_calls_are_complete_whether_or_not_they_are_disposed(string kind)
    {
        OnBoth(EtcdMethods.Put, http => AnswerAsync(http, Done));
        OnBoth(EtcdMethods.Watch, async http =>
        {
            if (kind == "refused")
            {
                await RefuseAsync(http, StatusCode.PermissionDenied, "etcdserver: permission denied");
                return;
            }

            await AnswerAsync(http, new WatchResponse());
            if (kind == "disposed")
            {
                await HangAsync(http);
            }
        });
        using var endpoint = new EtcdEndpoint(new Uri(_one.Endpoint), _ => GrpcChannel.ForAddress(_one.Endpoint), TimeProvider.System);
        using var pool = new EndpointPool([endpoint], TimeProvider.System);
        var options = new EtcdClientOptions();
        var tokens = new TokenSource(options, (_, _) => throw new InvalidOperationException(), TimeProvider.System);
        var failover = new Failover(
            options, pool, new ClusterIdentity(pool, TimeProvider.System, NullLogger.Instance), TimeProvider.System, NullLogger.Instance, CancellationToken.None);
        var invoker = new UserCallInvoker(failover, tokens);
        var lane = kind == "unary" ? endpoint.Calls : endpoint.Streams;
        var connection = lane.Rent();
        lane.Return(connection, CallOutcome.Answered);

        if (kind == "unary")
        {
            await new KV.KVClient(invoker).PutAsync(new PutRequest());
        }
        else
        {
            var call = new Watch.WatchClient(invoker).Watch();
            switch (kind)
            {
                case "refused":
                    await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(default));
                    break;
                case "disposed":
                    Assert.True(await call.ResponseStream.MoveNext(default));
                    call.Dispose();
                    break;
                default:
                    Assert.True(await call.ResponseStream.MoveNext(default));
                    Assert.False(await call.ResponseStream.MoveNext(default));
                    break;
            }
        }

        // A retired connection is closed when nobody uses it any more.
        lane.Replace(connection);
        Assert.Throws<ObjectDisposedException>(() => new KV.KVClient(connection.Invoker).PutAsync(new PutRequest()));
    }

    [Fact]
    public async Task A_disposed_client_makes_no_more_calls()
    {
        var client = Connect();
        var invoker = client.CreateCallInvoker();
        await client.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await new KV.KVClient(invoker).PutAsync(new PutRequest()));
        Assert.Throws<ObjectDisposedException>(() => new Watch.WatchClient(invoker).Watch());
        Assert.Throws<ObjectDisposedException>(() => client.CreateCallInvoker());
    }

    private static void WithUser(EtcdClientOptions options) => (options.Username, options.Password) = ("app", "geheim");

    private void OnBoth(string method, Func<HttpContext, Task> handler)
    {
        _one.On(method, handler);
        _two.On(method, handler);
    }

    private int CallsOf(string method) => _one.Calls.Concat(_two.Calls).Count(c => c == method);

    // No attempt ends by its own limit, however busy the machine, unless a test wants it.
    private EtcdClient Connect(Action<EtcdClientOptions>? configure = null, TimeProvider? clock = null)
    {
        var options = new EtcdClientOptions
        {
            Endpoints = [_one.Endpoint, _two.Endpoint],
            AttemptTimeout = TimeSpan.FromMinutes(1),
            RequestTimeout = TimeSpan.FromMinutes(1),
        };
        configure?.Invoke(options);
        return new EtcdClient(options, timeProvider: clock);
    }
}
