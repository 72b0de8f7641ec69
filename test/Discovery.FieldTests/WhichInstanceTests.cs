using System.Diagnostics;
using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Which instance a call went to, and how it is told where to go.</summary>
public sealed class WhichInstanceTests
{
    [Fact]
    public async Task Options_choose_the_instance_and_tell_which_one_answered()
    {
        await using var field = await Field.StartAsync();
        var addresses = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            addresses.Add((await field.StartServerAsync(metadata: $"\"id\":\"id-{i}\"")).Address);
        }

        using var client = field.Client();
        await Eventually.IsTrue(async () => (await client.GetStringAsync("x")).Length > 0);
        for (var i = 0; i < 3; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.Instance, $"id-{i}");
            using var response = await client.SendAsync(request);

            Assert.Equal(addresses[i], await response.Content.ReadAsStringAsync());
            Assert.True(response.RequestMessage!.Options.TryGetValue(EtcdRequestOptions.ServedBy, out var instance));
            Assert.Equal((addresses[i], $"id-{i}"), (instance!.Address, instance.InstanceId));
        }
    }

    /// <summary>Both ports of one process have its id, which is also what a call is told of whom it was served by.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_id_stands_for_the_port_of_the_process_that_speaks_the_calls_protocol(bool areProtocolsKnown)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => c.Response.WriteAsync("rest"), metadata: "\"id\":\"a\"" + (areProtocolsKnown ? ",\"protocols\":\"h1\"" : ""));
        await field.StartServerAsync(
            static c => GrpcAnswer.SendAsync(c, "grpc"), HttpProtocols.Http2, metadata: "\"id\":\"a\"" + (areProtocolsKnown ? ",\"protocols\":\"h2\"" : ""));
        var services = field.Application(
            static s =>
            {
                s.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
                s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
            },
            static o => o.Policy = "RoundRobin");
        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        var grpc = services.GetRequiredService<Greeter.GreeterClient>();

        async Task<string> CallAsync(bool isGrpc)
        {
            if (isGrpc)
            {
                return (await grpc.SayHelloAsync(new HelloRequest(), new Metadata { { EtcdCallMetadata.Instance, "a" } })).Message;
            }

            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.Instance, "a");
            using var response = await http.SendAsync(request);
            return await response.Content.ReadAsStringAsync();
        }

        foreach (var isGrpc in new[] { false, true })
        {
            var expected = isGrpc ? "grpc" : "rest";
            if (!areProtocolsKnown)
            {
                // What the record does not say is learnt from a refusal.
                await Eventually.IsTrue(async () =>
                {
                    try
                    {
                        return await CallAsync(isGrpc) == expected;
                    }
                    catch (Exception e) when (e is RpcException or HttpRequestException)
                    {
                        return false;
                    }
                });
            }

            for (var i = 0; i < 5; i++)
            {
                Assert.Equal(expected, await CallAsync(isGrpc));
            }
        }
    }

    [Theory]
    [InlineData("discovery-hash-key")]
    [InlineData("Discovery-Hash-Key")]
    [InlineData("DISCOVERY-HASH-KEY")]
    public async Task A_header_chooses_the_instance_whatever_its_case_and_is_not_sent(string name)
    {
        await using var field = await Field.StartAsync();
        var seen = new List<string>();
        var servers = new List<BackendServer>();
        for (var i = 0; i < 3; i++)
        {
            servers.Add(await field.StartServerAsync(c =>
            {
                seen.AddRange(c.Request.Headers.Keys.Where(static k => k.StartsWith("discovery", StringComparison.OrdinalIgnoreCase)));
                return Task.CompletedTask;
            }));
        }

        using var client = field.Client(static o => o.Policy = "ConsistentHash");
        client.DefaultRequestHeaders.Add(name, "alice");
        for (var i = 0; i < 20; i++)
        {
            using var response = await client.GetAsync("x");
        }

        Assert.Empty(seen);
        Assert.Equal([0, 0, 20], servers.Select(static s => s.Requests).Order());
    }

    [Theory]
    [InlineData("GET", 200)]
    [InlineData("GET", 204)]
    [InlineData("HEAD", 200)]
    [InlineData("POST", 404)]
    public async Task Whoever_asks_by_an_empty_option_is_told_which_instance_answered(string method, int status)
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(c =>
        {
            c.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = field.Client();
        using var request = new HttpRequestMessage(new HttpMethod(method), "x");
        request.Options.Set(EtcdRequestOptions.ServedBy, null);

        using var response = await client.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.True(request.Options.TryGetValue(EtcdRequestOptions.ServedBy, out var instance));
        Assert.Equal(server.Address, instance?.Address);
        Assert.Equal(instance, response.GetServedBy());
    }

    [Theory]
    [InlineData(200)]
    [InlineData(404)]
    [InlineData(503)]
    public async Task A_response_with_a_body_tells_unasked_which_instance_answered(int status)
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(c =>
        {
            c.Response.StatusCode = status;
            return c.Response.WriteAsync("body");
        });
        using var client = field.Client();

        using var response = await client.GetAsync("x");

        Assert.Equal("body", await response.Content.ReadAsStringAsync());
        Assert.Equal(server.Address, response.GetServedBy()?.Address);
        using var other = new HttpResponseMessage();
        Assert.Null(other.GetServedBy());
    }

    [Fact]
    public async Task A_failed_call_tells_which_instance_failed()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        using var client = field.Client();

        using var response = await client.GetAsync("x");

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.True(response.RequestMessage!.Options.TryGetValue(EtcdRequestOptions.ServedBy, out var instance));
        Assert.Equal(server.Address, instance!.Address);
    }

    [Fact]
    public async Task A_grpc_call_that_asks_is_told_which_instance_answered()
    {
        await using var field = await Field.StartAsync();
        string? seen = null;
        var server = await field.StartServerAsync(
            c =>
            {
                seen = c.Request.Headers[EtcdCallMetadata.ServedBy];
                c.Response.Headers[EtcdCallMetadata.ServedBy] = "a lie";
                return GrpcAnswer.SendAsync(c, "hello");
            },
            HttpProtocols.Http2);
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        using var call = client.SayHelloAsync(new HelloRequest(), new Metadata { { EtcdCallMetadata.ServedBy, "?" } });
        await call;

        Assert.Equal(server.Address, (await call.ResponseHeadersAsync).GetValue(EtcdCallMetadata.ServedBy));
        Assert.True(string.IsNullOrEmpty(seen));
    }

    [Fact]
    public async Task The_activity_is_tagged_with_the_instance()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(metadata: "\"id\":\"a\"");
        using var client = field.Client();
        using var source = new ActivitySource("test");
        using var listener = new ActivityListener
        {
            ShouldListenTo = s => s == source,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
        };
        ActivitySource.AddActivityListener(listener);

        using (var call = source.StartActivity("call", ActivityKind.Client)!)
        {
            await client.GetStringAsync("x");
            Assert.Equal("a", call.GetTagItem("discovery.instance"));
            Assert.Equal(server.Address, $"{call.GetTagItem("server.address")}:{call.GetTagItem("server.port")}");
        }

        using var incoming = source.StartActivity("incoming", ActivityKind.Server)!;
        await client.GetStringAsync("x");
        Assert.Equal("a", incoming.GetTagItem("discovery.instance"));
        Assert.Null(incoming.GetTagItem("server.address"));
    }
}
