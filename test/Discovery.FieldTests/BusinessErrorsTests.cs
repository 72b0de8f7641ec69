using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Errors that a call causes wherever it goes, and those of one server.</summary>
public sealed class BusinessErrorsTests
{
    [Theory]
    [InlineData("RoundRobin", 1, StatusCode.Unknown)]
    [InlineData("RoundRobin", 1, StatusCode.Internal)]
    [InlineData("ConsistentHash", 1, StatusCode.Unknown)]
    [InlineData("ConsistentHash", 2, StatusCode.Unknown)]
    [InlineData("ConsistentHash", 2, StatusCode.Internal)]
    public async Task A_handler_that_throws_wherever_it_is_called_ejects_no_server(string policy, int keys, StatusCode status)
    {
        await using var field = await Field.StartAsync();
        var servers = await StartServersAsync(field, name => name != "bad" ? name : throw new RpcException(new Status(status, "bad")));
        var client = Client(field, o => o.Policy = policy);

        // With two keys, others serve meanwhile.
        for (var i = 0; i < 300; i++)
        {
            await CallAsync(client, "bad", "one");
            if (keys > 1)
            {
                await CallAsync(client, "good", $"other-{i % 50}");
            }
        }

        Assert.Equal(300 * keys, servers.Sum(static s => s.Requests));
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("eject", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("RoundRobin", StatusCode.Unknown)]
    [InlineData("RoundRobin", StatusCode.Internal)]
    [InlineData("ConsistentHash", StatusCode.Unknown)]
    public async Task A_server_whose_handler_always_throws_is_ejected_while_others_serve(string policy, StatusCode status)
    {
        await using var field = await Field.StartAsync();
        await StartServersAsync(field, static name => name, count: 2);
        var broken = await GreeterServer.StartAsync(field, _ => throw new RpcException(new Status(status, "broken")));
        var client = Client(field, o => o.Policy = policy);

        for (var i = 0; i < 450; i++)
        {
            await CallAsync(client, "good", $"key-{i}");
        }

        Assert.Contains(field.Log.Lines, l => l.Contains(broken.Address, StringComparison.Ordinal) && l.Contains("errors in a row (500, INTERNAL or UNKNOWN), and others serve", StringComparison.Ordinal));
        Assert.InRange(broken.Requests, 5, 25);
    }

    [Fact]
    public async Task A_message_that_is_too_large_ejects_no_server()
    {
        await using var field = await Field.StartAsync();
        var servers = await StartServersAsync(field, static name => name);
        var client = Client(field, static o => o.Policy = "RoundRobin");
        var large = new string('x', 5_000_000);

        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(StatusCode.ResourceExhausted, await CallAsync(client, large, "one"));
        }

        Assert.All(servers, static s => Assert.InRange(s.Requests, 60, 72));
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("eject", StringComparison.Ordinal));
    }

    private static async Task<List<GreeterServer>> StartServersAsync(Field field, Func<string, string> greet, int count = 3)
    {
        List<GreeterServer> servers = [];
        for (var i = 0; i < count; i++)
        {
            servers.Add(await GreeterServer.StartAsync(field, greet));
        }

        return servers;
    }

    private static Greeter.GreeterClient Client(Field field, Action<EtcdDiscoveryOptions> options)
        => field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), options).GetRequiredService<Greeter.GreeterClient>();

    private static async Task<StatusCode> CallAsync(Greeter.GreeterClient client, string name, string key)
    {
        try
        {
            await client.SayHelloAsync(new HelloRequest { Name = name }, new Metadata { { EtcdCallMetadata.HashKey, key } });
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }
}
