using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Connections;

/// <summary>Settings that name members of two clusters.</summary>
public sealed class MixedClustersTests : IAsyncLifetime
{
    private readonly LogRecorder _log = new();
    private readonly ulong[] _ids = [0xa, 0xb];
    private readonly ScriptedServer[] _servers = new ScriptedServer[2];
    private readonly FakeTimeProvider _clock = new();
    private ILoggerFactory _loggers = null!;

    public async Task InitializeAsync()
    {
        _loggers = LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Trace).AddProvider(_log));
        for (var i = 0; i < 2; i++)
        {
            var server = i;
            _servers[i] = await ScriptedServer.StartAsync();
            _servers[i].On(EtcdMethods.Put, () => new PutResponse { Header = Header(server) });
            _servers[i].On(EtcdMethods.Status, () => new StatusResponse { Header = Header(server), Leader = 1 });
            _servers[i].On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { Header = Header(server), ID = 5, TTL = 10 });
        }
    }

    public async Task DisposeAsync()
    {
        await _servers[0].DisposeAsync();
        await _servers[1].DisposeAsync();
        _loggers.Dispose();
        _log.Dispose();
    }

    [Fact]
    public async Task Nothing_is_written_to_another_cluster_than_that_of_the_first_endpoint_that_answered()
    {
        await using var client = Connect();
        await client.PutAsync("a", default);
        var first = Puts(0) > 0 ? 0 : 1;
        var other = 1 - first;

        // Now the first one fails, and the client looks elsewhere.
        _servers[first].On(EtcdMethods.Put, http => ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader"));
        var call = client.PutAsync("a", default);
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(20));
            return call.IsCompleted;
        });

        var error = await Assert.ThrowsAsync<EtcdException>(() => call);
        Assert.Contains($"it belongs to another cluster ({_ids[other]:x})", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, Puts(other));
        var line = Assert.Single(_log.At(LogLevel.Error));
        Assert.Contains($"{_servers[first].Endpoint} to cluster {_ids[first]:x}, {_servers[other].Endpoint} to cluster {_ids[other]:x}", line, StringComparison.Ordinal);
        Assert.Contains("Etcd__Endpoints__0", line, StringComparison.Ordinal);
        Assert.Contains("set Etcd__Endpoints to one text", line, StringComparison.Ordinal);

        // The other one is not even asked again for a while, and leases stay away from it too.
        _servers[first].On(EtcdMethods.Put, () => new PutResponse { Header = Header(first) });
        await client.PutAsync("a", default);
        await client.GrantLeaseAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(["Status"], _servers[other].Calls);
        Assert.Single(_log.At(LogLevel.Error));
    }

    [Fact]
    public async Task An_endpoint_that_joined_the_cluster_is_used_after_a_while()
    {
        await using var client = Connect();
        await client.PutAsync("a", default);
        var first = Puts(0) > 0 ? 0 : 1;
        _servers[first].On(EtcdMethods.Put, http => ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader"));
        await Eventually.IsTrue(async () =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            _ids[1 - first] = _ids[first];
            try
            {
                await client.PutAsync("a", default).WaitAsync(TimeSpan.FromMilliseconds(200));
                return true;
            }
            catch (Exception e) when (e is EtcdException or TimeoutException)
            {
                return false;
            }
        });

        Assert.True(Puts(1 - first) > 0);
    }

    [Fact]
    public async Task A_member_that_tells_its_state_to_nobody_without_a_token_is_asked_for_one_all_the_same()
    {
        _ids[1] = _ids[0];
        for (var i = 0; i < 2; i++)
        {
            var server = i;
            _servers[i].On(EtcdMethods.Authenticate, () => new AuthenticateResponse { Header = Header(server), Token = $"of{server}" });
            _servers[i].On(EtcdMethods.Status, http => WithTokenAsync(http, server, new StatusResponse { Header = Header(server), Leader = 1 }));
            _servers[i].On(EtcdMethods.Put, http => WithTokenAsync(http, server, new PutResponse { Header = Header(server) }));
        }

        await using var client = Connect(withUser: true);
        await client.PutAsync("a", default);
        var first = Puts(0) > 0 ? 0 : 1;

        // Another one takes over, which does not know the token, and of which nothing is known yet.
        foreach (var method in (string[])[EtcdMethods.Put, EtcdMethods.Status, EtcdMethods.Authenticate])
        {
            _servers[first].On(method, http => ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: server stopped"));
        }

        await client.PutAsync("a", default).WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Contains(EtcdMethods.Authenticate, _servers[1 - first].Calls);

        static Task WithTokenAsync(HttpContext http, int server, IMessage answer) => http.Request.Headers["token"].ToString() switch
        {
            "" => ScriptedServer.RefuseAsync(http, StatusCode.InvalidArgument, "etcdserver: user name is empty"),
            var token when token == $"of{server}" => ScriptedServer.AnswerAsync(http, answer),
            _ => ScriptedServer.RefuseAsync(http, StatusCode.Unauthenticated, "etcdserver: invalid auth token"),
        };
    }

    [Fact]
    public async Task A_cluster_that_was_replaced_is_followed()
    {
        await using var client = Connect();
        await client.PutAsync("a", default);
        _ids[0] = _ids[1] = 0xc;

        for (var i = 0; i < 5; i++)
        {
            await client.PutAsync("a", default);
        }

        Assert.Empty(_log.At(LogLevel.Error));
        Assert.Single(_log.At(LogLevel.Warning));
    }

    private ResponseHeader Header(int server) => new() { ClusterId = _ids[server], Revision = 3 };

    private int Puts(int server) => _servers[server].Calls.Count(c => c == EtcdMethods.Put);

    private EtcdClient Connect(bool withUser = false) => new(
        new EtcdClientOptions
        {
            Endpoints = [.. _servers.Select(s => s.Endpoint)],
            AttemptTimeout = TimeSpan.FromMinutes(1),
            RequestTimeout = TimeSpan.FromSeconds(10),
            Username = withUser ? "app" : null,
            Password = withUser ? "geheim" : null,
        },
        _loggers,
        _clock);
}
