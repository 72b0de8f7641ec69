using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Connections;

/// <summary>Several members behind one address, where each connection may end at another one.</summary>
public sealed class OneAddressTests : IAsyncLifetime
{
    private ScriptedServer _server = null!;
    private string? _first;

    public async Task InitializeAsync() => _server = await ScriptedServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData("Unavailable", "etcdserver: rpc not supported for learner")]
    [InlineData("FailedPrecondition", "etcdserver: rpc not supported for learner")]
    [InlineData("Unavailable", "etcdserver: no leader")]
    public async Task A_connection_on_which_calls_are_refused_again_and_again_is_replaced(string code, string refusal)
    {
        _server.On(EtcdMethods.Put, http => IsFirstConnection(http)
            ? ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code), refusal)
            : ScriptedServer.AnswerAsync(http, new PutResponse { Header = new ResponseHeader { Revision = 3 } }));
        using var log = new LogRecorder();
        await using var client = Connect(log);

        Assert.Equal(3, await client.PutAsync("a", default));

        Assert.Equal(3, _server.Calls.Count);
        Assert.Contains("name the members' own URLs in Etcd:Endpoints", Assert.Single(log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Unavailable", "etcdserver: no leader")]
    [InlineData("Unknown", "not a primary lessor")]
    public async Task A_connection_on_which_renewals_are_refused_again_and_again_is_replaced(string code, string refusal)
    {
        _server.On(EtcdMethods.LeaseKeepAlive, http => IsFirstConnection(http)
            ? ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code), refusal)
            : RenewAsync(http));
        using var log = new LogRecorder();
        await using var client = Connect(log);

        Assert.Equal(TimeSpan.FromSeconds(17), (await client.RenewLeaseAsync(5))?.TimeToLive);
        Assert.Single(log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task A_connection_on_which_an_applications_own_streams_are_refused_again_and_again_is_replaced()
    {
        _server.On(EtcdMethods.Watch, http => IsFirstConnection(http)
            ? ScriptedServer.RefuseAsync(http, StatusCode.FailedPrecondition, "etcdserver: rpc not supported for learner")
            : ScriptedServer.AnswerAsync(http, new WatchResponse { Created = true }));
        using var log = new LogRecorder();
        await using var client = Connect(log);
        var stub = new Watch.WatchClient(client.CreateCallInvoker());

        for (var i = 0; i < 2; i++)
        {
            using var refused = stub.Watch();
            await Assert.ThrowsAsync<RpcException>(() => refused.ResponseStream.MoveNext(default));
        }

        using var call = stub.Watch();
        Assert.True(await call.ResponseStream.MoveNext(default));
        Assert.Single(log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData(EtcdMethods.Put)]
    [InlineData(EtcdMethods.LeaseKeepAlive)]
    public async Task What_a_frozen_leader_and_a_follower_of_it_took_is_sent_again_after_the_election(string method)
    {
        // The first connection ends at the leader, which answers nothing any more, and the second one at a follower that passed on what it got.
        var clock = new FakeTimeProvider();
        var isElected = false;
        await using var leader = await ScriptedServer.StartAsync();
        _server.On(EtcdMethods.Status, () => new StatusResponse { Header = new ResponseHeader(), Leader = 1, RaftTerm = isElected ? 8ul : 7ul });
        _server.On(method, http => !isElected ? ScriptedServer.HangAsync(http) : method == EtcdMethods.Put
            ? ScriptedServer.AnswerAsync(http, new PutResponse { Header = new ResponseHeader { Revision = 3 } })
            : RenewAsync(http));
        await using var proxy = TcpProxy.Start(new Uri(leader.Endpoint).Port);
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [proxy.Endpoint], AttemptTimeout = TimeSpan.FromSeconds(1), RequestTimeout = TimeSpan.FromMinutes(10) },
            timeProvider: clock);
        Task call = method == EtcdMethods.Put ? client.PutAsync("a", default) : client.RenewLeaseAsync(5);
        await Eventually.IsTrue(() => leader.Calls.Contains(method));
        proxy.Target = new Uri(_server.Endpoint).Port;
        await AdvanceUntilAsync(() => _server.Calls.Contains(method) && _server.Calls.Count(c => c == EtcdMethods.Status) >= 2);

        isElected = true;
        await AdvanceUntilAsync(() => call.IsCompleted);

        await call;
        Assert.InRange(proxy.Accepted, 2, 6);

        Task AdvanceUntilAsync(Func<bool> condition) => Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(50));
            return condition();
        });
    }

    private static async Task RenewAsync(HttpContext http)
    {
        var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
        await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 17 });
    }

    private bool IsFirstConnection(HttpContext http) => (_first ??= http.Connection.Id) == http.Connection.Id;

    private EtcdClient Connect(LogRecorder log) => new(
        new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromMinutes(1) },
        LoggerFactory.Create(l => l.AddProvider(log)));
}
