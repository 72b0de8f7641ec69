using System.Net;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class ProtocolTests
{
    [Theory]
    [InlineData("RoundRobin")]
    [InlineData("LeastLoad")]
    public async Task A_call_goes_only_where_its_protocol_is_spoken(string policy)
    {
        await using var harness = new Harness(o => o.Policy = policy);
        var (rest, grpc) = await StartTwoPortsAsync(harness);
        Register(harness, rest.Address, "h1");
        Register(harness, grpc.Address, "h2");
        using var http1 = harness.Client();
        using var http2 = harness.Client(HttpVersion.Version20);

        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(rest.Address, await http1.GetStringAsync("x"));
            Assert.Equal(grpc.Address, await http2.GetStringAsync("x"));
        }
    }

    [Theory]
    [InlineData("RoundRobin")]
    [InlineData("LeastLoad")]
    public async Task Where_no_record_says_a_refusal_is_remembered(string policy)
    {
        await using var harness = new Harness(o => o.Policy = policy);
        var (rest, grpc) = await StartTwoPortsAsync(harness);
        using var http1 = harness.Client();
        using var http2 = harness.Client(HttpVersion.Version20);
        var failed = 0;
        foreach (var client in new[] { http1, http2 })
        {
            for (var i = 0; i < 100; i++)
            {
                try
                {
                    using var response = await client.GetAsync("x");
                    failed += response.IsSuccessStatusCode ? 0 : 1;
                }
                catch (HttpRequestException)
                {
                    failed++;
                }
            }
        }

        Assert.InRange(failed, 0, 6);

        // A server that closes at once may cut off what it says, and the first refusal then looks like any broken connection.
        Assert.All(harness.Pool.Current!.Instances, i => Assert.InRange(i.FailureRate, 0, 0.15));
        Assert.Equal((InstanceProtocols.Http2, InstanceProtocols.Http1), (RefusedBy(harness, rest), RefusedBy(harness, grpc)));
    }

    [Fact]
    public async Task A_400_of_the_application_is_no_refusal_of_the_protocol()
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync(c =>
        {
            c.Response.StatusCode = 400;
            return c.Response.Body.WriteAsync(new byte[56]).AsTask();
        });
        using var client = harness.Client();

        using var response = await client.GetAsync("x");

        Assert.Equal(InstanceProtocols.Unspecified, RefusedBy(harness, server));
    }

    [Fact]
    public async Task Where_nobody_speaks_the_protocol_the_error_says_so()
    {
        await using var harness = new Harness();
        Register(harness, "127.0.0.1:9", "h1");
        using var client = harness.Client(HttpVersion.Version20);

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        Assert.Contains("none of them speaks HTTP/2", e.Message, StringComparison.Ordinal);
        Assert.Contains("set the servers' Kestrel:EndpointDefaults:Protocols to Http2", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_the_protocol_is_spoken_over_TLS_alone_the_error_names_the_scheme()
    {
        await using var harness = new Harness();
        Register(harness, "127.0.0.1:9", "h1");
        Register(harness, "127.0.0.1:8", "h1,h2", "https");
        using var client = harness.Client(HttpVersion.Version20);

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        Assert.Contains("none of them speaks HTTP/2 at its http address", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("At https it is spoken: set Etcd:Discovery:Scheme, or the client's base address, to https.", e.Message, StringComparison.Ordinal);
    }

    /// <summary>Two clients that wait for an application which starts, and puts the key of its gRPC port first.</summary>
    [Fact]
    public async Task A_call_that_waited_for_the_first_instance_waits_for_the_one_that_speaks_its_protocol()
    {
        await using var harness = new Harness(static o => o.ReadyTimeout = TimeSpan.FromMinutes(10));
        await using var grpc = await BackendServer.StartAsync(protocols: HttpProtocols.Http2);
        await using var web = await BackendServer.StartAsync();
        using var client = harness.Client();
        using var grpcClient = harness.Client(HttpVersion.Version20);
        var call = client.GetStringAsync("x");
        var grpcCall = grpcClient.GetStringAsync("x");
        await Eventually.IsTrue(() => harness.Pool.Current is not null);

        Register(harness, grpc.Address, "h2");
        Assert.Equal(grpc.Address, await grpcCall);
        Assert.False(call.IsCompleted);
        Register(harness, web.Address, "h1");

        Assert.Equal(web.Address, await call);
    }

    private static InstanceProtocols RefusedBy(Harness harness, BackendServer server)
        => harness.Pool.Current!.Instances.Single(i => i.Record.Address == server.Address).RefusedProtocols;

    private static async Task<(BackendServer Http1, BackendServer Http2)> StartTwoPortsAsync(Harness harness)
        => (await harness.StartServerAsync(), await harness.StartServerAsync(protocols: HttpProtocols.Http2));

    private static void Register(Harness harness, string address, string protocols, string scheme = "http")
        => harness.Etcd.Put(
            $"services/{Harness.Service}/{address}",
            Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{address}}}","Metadata":{"protocols":"{{{protocols}}}","scheme":"{{{scheme}}}"}}"""));
}
