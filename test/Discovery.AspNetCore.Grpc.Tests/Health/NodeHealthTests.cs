using Discovery.EmbeddedEtcd;
using Discovery.IntegrationTests.Interop;

namespace Discovery.AspNetCore.Grpc.Tests.Health;

/// <summary>A client in another language watches the health of a server that is registered in etcd.</summary>
public sealed class NodeHealthTests
{
    [Fact]
    public async Task A_node_client_hears_of_withdrawal_return_and_drain_and_its_watch_ends_with_the_server()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var server = await HealthServer.StartAsync(etcd.Endpoint);
        await using var client = await NodePeer.StartAsync("health.mjs", server.Authority, "helloworld.Greeter");
        Assert.Equal("SERVING", await client.WaitForLineAsync("1 "));

        await server.Registration.WithdrawAsync();
        Assert.Equal("NOT_SERVING", await client.WaitForLineAsync("2 "));
        await server.Registration.RestoreAsync();
        Assert.Equal("SERVING", await client.WaitForLineAsync("3 "));
        await server.StopAsync();
        Assert.Equal("NOT_SERVING", await client.WaitForLineAsync("4 "));
        await client.WaitForLineAsync("end");
    }
}
