using System.Net;
using Discovery.FieldTests.Support;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Calls on which nothing is sent for a long time, to servers that allow few pings and to those that allow any number.</summary>
public sealed class SilentStreamsTests
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

    [Theory]
    [InlineData("", "")]
    [InlineData("\"protocols\":\"h2c\"", "tolerant")]
    public async Task Pings_go_to_servers_that_our_registration_wrote_and_to_no_other(string metadata, string rule)
    {
        await using var field = await Field.StartAsync();
        await using var server = await Peer.StartNodeAsync("http2/pings.mjs", rule);
        await field.RegisterAsync(server.Address, metadata);
        using var client = field.Client();
        client.DefaultRequestVersion = HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;

        Assert.Equal("done", await client.GetStringAsync("30000"));
        Assert.Equal(rule.Length > 0, server.Output.Contains("silent ping", StringComparison.Ordinal));
    }
}
