using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>An instance that takes calls and never answers, while its lease and its pings go on.</summary>
public sealed class HungInstancesTests
{
    private const int Calls = 60;

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("Random")]
    [InlineData("ConsistentHash")]
    [InlineData("PickFirst")]
    public async Task A_hung_instance_is_ejected_when_the_timeout_of_an_http_client_passes(string policy)
    {
        await using var field = await Field.StartAsync();
        var works = await StartAsync(field, HttpProtocols.Http1, static c => c.Response.WriteAsync("hello"));
        using var client = field.Client(o => o.Policy = policy);
        client.Timeout = TimeSpan.FromMilliseconds(300);
        var failed = 0;
        for (var i = 0; i < Calls; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.HashKey, $"{i % 8}");
            try
            {
                using var response = await client.SendAsync(request);
            }
            catch (OperationCanceledException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 0, 12);
        Assert.True(works.Sum(static s => s.Requests) >= Calls - 12);
    }

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("Random")]
    [InlineData("ConsistentHash")]
    [InlineData("PickFirst")]
    public async Task A_hung_instance_is_ejected_when_deadlines_of_grpc_calls_pass(string policy)
    {
        await using var field = await Field.StartAsync();
        await StartAsync(field, HttpProtocols.Http2, static c => GrpcAnswer.SendAsync(c, "hello"));
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), o => o.Policy = policy);
        var client = services.GetRequiredService<Greeter.GreeterClient>();
        var failed = 0;
        for (var i = 0; i < Calls; i++)
        {
            try
            {
                await client.SayHelloAsync(
                    new HelloRequest(), new Metadata { { EtcdCallMetadata.HashKey, $"{i % 8}" } }, DateTime.UtcNow.AddMilliseconds(300));
            }
            catch (RpcException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 0, 12);
    }

    /// <summary>One that hangs and two that work.</summary>
    private static async Task<List<BackendServer>> StartAsync(Field field, HttpProtocols protocols, RequestDelegate answer)
    {
        var servers = new List<BackendServer> { await field.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted), protocols) };
        while (servers.Count < 3)
        {
            servers.Add(await field.StartServerAsync(answer, protocols));
        }

        return servers[1..];
    }
}
