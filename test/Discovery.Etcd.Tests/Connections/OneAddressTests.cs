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
        _server.On(EtcdMethods.LeaseKeepAlive, async http =>
        {
            if (IsFirstConnection(http))
            {
                await ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code), refusal);
                return;
            }

            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
            await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 17 });
        });
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

    private bool IsFirstConnection(HttpContext http) => (_first ??= http.Connection.Id) == http.Connection.Id;

    private EtcdClient Connect(LogRecorder log) => new(
        new EtcdClientOptions { Endpoints = [_server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromMinutes(1) },
        LoggerFactory.Create(l => l.AddProvider(log)));
}
