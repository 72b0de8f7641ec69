using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Discovery.Etcd.Tests.Leasing;

/// <summary>The stream that carries the renewals of all leases.</summary>
public sealed class RenewalStreamTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _clock = new();
    private readonly ScriptedServer[] _servers = new ScriptedServer[2];
    private int _authentications;

    public async Task InitializeAsync()
    {
        for (var i = 0; i < 2; i++)
        {
            _servers[i] = await ScriptedServer.StartAsync();
            _servers[i].On(EtcdMethods.Authenticate, () => new AuthenticateResponse { Token = $"t{Interlocked.Increment(ref _authentications)}" });
            _servers[i].On(EtcdMethods.LeaseKeepAlive, RenewAllAsync);
            _servers[i].On(EtcdMethods.Put, () => new PutResponse { Header = new ResponseHeader { Revision = 3 } });
        }
    }

    public async Task DisposeAsync()
    {
        await _servers[0].DisposeAsync();
        await _servers[1].DisposeAsync();
    }

    [Fact]
    public async Task A_renewal_that_is_not_answered_is_made_elsewhere_and_the_stream_that_answers_is_used_from_then_on()
    {
        _servers[0].On(EtcdMethods.LeaseKeepAlive, ScriptedServer.HangAsync);
        for (var round = 0; round < 4; round++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect();
            var first = client.RenewLeaseAsync(5);
            await Eventually.IsTrue(() =>
            {
                _clock.Advance(TimeSpan.FromMilliseconds(50));
                return first.IsCompleted;
            });
            Assert.Equal(TimeSpan.FromSeconds(17), (await first)?.TimeToLive);
            var streams = Streams;

            Assert.NotNull(await client.RenewLeaseAsync(6).WaitAsync(TimeSpan.FromSeconds(20)));
            Assert.Equal(streams, Streams);
        }
    }

    [Fact]
    public async Task What_is_sent_again_after_an_election_goes_over_a_stream_of_its_own()
    {
        // As a follower that passed a renewal on to the leader before: it waits, and what comes after on the stream waits too.
        var (first, isElected) = (-1, false);
        for (var i = 0; i < 2; i++)
        {
            var (server, index, streams) = (_servers[i], i, 0);
            server.On(EtcdMethods.LeaseKeepAlive, http => Interlocked.Increment(ref streams) == 1 ? ScriptedServer.HangAsync(http) : RenewAllAsync(http));
            server.On(EtcdMethods.Status, () => new StatusResponse { Header = new ResponseHeader(), Leader = 1, RaftTerm = isElected && index == first ? 8ul : 7ul });
        }

        await using var client = Connect();
        var renewal = client.RenewLeaseAsync(5);
        await Eventually.IsTrue(() => Streams == 1);
        first = _servers[0].Calls.Count > 0 ? 0 : 1;
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(50));
            return _servers.Sum(s => s.Calls.Count(c => c == EtcdMethods.Status)) >= 4;
        });
        Assert.Equal(2, Streams);

        isElected = true;
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(50));
            return renewal.IsCompleted;
        });

        Assert.NotNull(await renewal);
    }

    [Theory]
    [InlineData("Unknown", "not a primary lessor")]
    [InlineData("FailedPrecondition", "etcdserver: rpc not supported for learner")]
    public async Task A_member_that_cannot_renew_leases_is_left_alone(string code, string refusal)
    {
        _servers[0].On(EtcdMethods.LeaseKeepAlive, http => ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code), refusal));
        for (var round = 0; round < 8; round++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect();
            Assert.NotNull(await client.RenewLeaseAsync(5).WaitAsync(TimeSpan.FromSeconds(20)));
            var refused = _servers[0].Calls.Count;

            Assert.NotNull(await client.RenewLeaseAsync(5).WaitAsync(TimeSpan.FromSeconds(20)));
            Assert.Equal(refused, _servers[0].Calls.Count);
        }
    }

    [Fact]
    public async Task A_slow_renewal_is_waited_for()
    {
        var requests = 0;
        _servers[0].On(EtcdMethods.LeaseKeepAlive, RenewSlowlyAsync);
        _servers[1].On(EtcdMethods.LeaseKeepAlive, RenewSlowlyAsync);
        await using var client = Connect();
        var call = client.RenewLeaseAsync(5);
        await Eventually.IsTrue(() => requests == 1);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await Eventually.IsTrue(() => requests == 2);
        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.NotNull(await call.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(2, Streams);

        async Task RenewSlowlyAsync(HttpContext http)
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
            var answer = Task.Delay(TimeSpan.FromSeconds(2), _clock, http.RequestAborted);
            Interlocked.Increment(ref requests);
            await answer;
            await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 17 });
        }
    }

    [Fact]
    public async Task A_stream_that_is_opened_anew_for_a_new_token_is_nobodys_fault()
    {
        foreach (var server in _servers)
        {
            server.On(EtcdMethods.LeaseKeepAlive, http => http.Request.Headers["token"] == "t1" ? ScriptedServer.HangAsync(http) : RenewAllAsync(http));
            server.On(EtcdMethods.Put, http => http.Request.Headers["token"] == "t1"
                ? ScriptedServer.RefuseAsync(http, StatusCode.Unauthenticated, "etcdserver: invalid auth token")
                : ScriptedServer.AnswerAsync(http, new PutResponse()));
        }

        await using var client = Connect(withUser: true);
        var renewal = client.RenewLeaseAsync(5);
        await Eventually.IsTrue(() => Streams == 1);
        var used = _servers.Single(s => s.Calls.Contains(EtcdMethods.LeaseKeepAlive));

        await client.PutAsync("a", default);

        Assert.NotNull(await renewal.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(2, used.Calls.Count(c => c == EtcdMethods.LeaseKeepAlive));
    }

    [Fact]
    public async Task A_stream_that_fled_returns_within_the_hour()
    {
        var isDown = true;
        _servers[0].On(EtcdMethods.LeaseKeepAlive, http => isDown ? ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "no") : RenewAllAsync(http));
        var fled = 0;
        for (var round = 0; fled == 0; round++)
        {
            // Each client starts at a random endpoint; those that start at the first flee.
            Assert.True(round < 60);
            isDown = true;
            await using var client = Connect();
            var before = _servers[0].Calls.Count;
            await client.RenewLeaseAsync(5);
            isDown = false;
            if (_servers[0].Calls.Count == before)
            {
                continue;
            }

            fled++;
            before = _servers[0].Calls.Count;
            await client.RenewLeaseAsync(5);
            Assert.Equal(before, _servers[0].Calls.Count);
            _clock.Advance(TimeSpan.FromHours(1));
            await client.RenewLeaseAsync(5);
            Assert.Equal(before + 1, _servers[0].Calls.Count);
        }
    }

    private int Streams => _servers.Sum(s => s.Calls.Count(c => c == EtcdMethods.LeaseKeepAlive));

    private static async Task RenewAllAsync(HttpContext http)
    {
        var reader = new GrpcFrameReader(http.Request.Body);
        http.Response.ContentType = GrpcFraming.ContentType;
        while (await reader.ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted) is { } request)
        {
            await http.Response.Body.WriteAsync(GrpcFraming.Frame(new LeaseKeepAliveResponse { ID = request.ID, TTL = 17 }));
            await http.Response.Body.FlushAsync();
        }
    }

    private EtcdClient Connect(bool withUser = false) => new(
        new EtcdClientOptions
        {
            Endpoints = [.. _servers.Select(s => s.Endpoint)],
            AttemptTimeout = TimeSpan.FromSeconds(1),
            RequestTimeout = TimeSpan.FromMinutes(10),
            Username = withUser ? "app" : null,
            Password = withUser ? "geheim" : null,
        },
        timeProvider: _clock);
}
