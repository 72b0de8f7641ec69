using Discovery.FieldTests.Support;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>A call on which nothing is sent for a long time. It is a class of its own, so that its wait goes on beside other tests.</summary>
public sealed class SilentCallTests
{
    [Fact]
    public async Task A_silent_call_to_a_server_by_grpc_go_lasts()
    {
        await using var field = await Field.StartAsync();
        await using var server = await Peer.StartGoAsync("go/greeter.go");
        await field.RegisterAsync(server.Address);
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        // With a ping every 20 s it breaks after 68 s.
        var reply = await client.SayHelloAsync(new HelloRequest { Name = "80s" });

        Assert.Equal("after 1m20s", reply.Message);
    }
}
