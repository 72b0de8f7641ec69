using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Instances that do not say what they speak, are called in another protocol, and are no Kestrel.</summary>
public sealed class ProtocolTests
{
    /// <summary>What Node, Go and others answer to the preface of HTTP/2.</summary>
    public static TheoryData<string> Refusals =>
    [
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n505 HTTP Version Not Supported",
        "HTTP/1.0 501 Unsupported method\r\n\r\n",
    ];

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_rest_port_that_speaks_no_http_2_gets_few_grpc_calls_and_all_the_others_it_should(string refusal)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2);
        await using var rest = new RawServer(received => received[0] == 'G'
            ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nrest"u8.ToArray()
            : System.Text.Encoding.ASCII.GetBytes(refusal));
        await field.RegisterAsync(rest.Address);
        var (http, grpc) = ClientsOf(field);
        var (failed, failedGrpc, error) = (0, 0, "");
        for (var i = 0; i < 100; i++)
        {
            using var response = await http.GetAsync("x");
            failed += response.IsSuccessStatusCode ? 0 : 1;
            try
            {
                await grpc.SayHelloAsync(new HelloRequest());
            }
            catch (RpcException e)
            {
                (failedGrpc, error) = (failedGrpc + 1, e.Status.Detail);
            }
        }

        // Until the clients have taken note, which they do a few times a second at most.
        Assert.InRange(failed, 1, 12);
        Assert.InRange(failedGrpc, 1, 12);
        Assert.Contains($"Instance {rest.Address} of service 'svc' speaks no HTTP/2 at its http address.", error, StringComparison.Ordinal);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_grpc_port_that_speaks_no_http_1_gets_few_calls_of_an_http_client()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();

        // A server by grpc-go sends its settings, and then finds that the client's greeting is none.
        await using var grpc = new RawServer(static _ => [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 64, 0]);
        await field.RegisterAsync(grpc.Address);
        using var client = field.Client(static o => o.Policy = "RoundRobin");
        var errors = new List<string>();
        for (var i = 0; i < 100; i++)
        {
            try
            {
                await client.GetStringAsync("x");
            }
            catch (HttpRequestException e)
            {
                errors.Add(e.Message);
            }
        }

        Assert.InRange(errors.Count, 1, 12);
        Assert.Contains("speaks no HTTP/1.1", errors[0], StringComparison.Ordinal);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Over_tls_neither_costs_a_call()
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("svc");
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2, l => l.UseHttps(certificate), "\"scheme\":\"https\"");
        await field.StartServerAsync(static c => c.Response.WriteAsync("rest"), listen: l => l.UseHttps(certificate), metadata: "\"scheme\":\"https\"");
        var (http, grpc) = ClientsOf(field, "https");

        for (var i = 0; i < 40; i++)
        {
            Assert.Equal("rest", await http.GetStringAsync("x"));
            Assert.Equal("hello", (await grpc.SayHelloAsync(new HelloRequest())).Message);
        }
    }

    [Fact]
    public async Task A_grpc_port_that_speaks_no_http_1_over_tls_is_not_ejected_for_it_and_the_error_does_not_blame_the_certificate()
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("svc");
        await field.StartServerAsync(protocols: HttpProtocols.Http2, listen: l => l.UseHttps(certificate), metadata: "\"scheme\":\"https\"");
        var rest = await field.StartServerAsync(listen: l => l.UseHttps(certificate), metadata: "\"scheme\":\"https\"");
        using var client = field.Client(
            static o => (o.Policy, o.Scheme, o.HoldDuration) = ("RoundRobin", "https", TimeSpan.Zero), static b => b.ConfigureEtcdTransport(AcceptAnyCertificate));
        for (var i = 0; i < 40; i++)
        {
            Assert.Equal(rest.Address, await client.GetStringAsync("x"));
        }

        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
        await field.DeregisterAsync(rest.Address);
        HttpRequestException? error = null;
        await Eventually.IsTrue(async () =>
        {
            error = await Record.ExceptionAsync(() => client.GetStringAsync("x")) as HttpRequestException;
            return error is not null;
        });
        Assert.Contains("the server speaks no HTTP/1.1 at this address", error!.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("certificate", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_grpc_call_to_an_instance_of_the_settings_that_speaks_http_1_names_the_servers_setting()
    {
        await using var field = await Field.StartAsync();
        await using var server = await BackendServer.StartAsync();
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), o => o.Instances.Add(server.Address));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        // Kestrel closes the connection at once, which may cut off what it says the first time.
        var detail = "";
        for (var i = 0; i < 20 && !detail.Contains("HTTP_1_1_REQUIRED", StringComparison.Ordinal); i++)
        {
            detail = (await Assert.ThrowsAsync<RpcException>(() => client.SayHelloAsync(new HelloRequest()).ResponseAsync)).Status.Detail;
        }

        Assert.Contains("HTTP_1_1_REQUIRED", detail, StringComparison.Ordinal);
        Assert.Contains(server.Address, detail, StringComparison.Ordinal);
        Assert.Contains("Kestrel:EndpointDefaults:Protocols to Http2", detail, StringComparison.Ordinal);
    }

    private static (HttpClient Http, Greeter.GreeterClient Grpc) ClientsOf(Field field, string scheme = "http")
    {
        var services = field.Application(
            static s =>
            {
                s.AddHttpClient("client").AddEtcdDiscovery(Field.Service).ConfigureEtcdTransport(AcceptAnyCertificate);
                s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service).ConfigureEtcdTransport(AcceptAnyCertificate);
            },
            o => (o.Policy, o.Scheme) = ("RoundRobin", scheme));
        return (services.GetRequiredService<IHttpClientFactory>().CreateClient("client"), services.GetRequiredService<Greeter.GreeterClient>());
    }

    private static void AcceptAnyCertificate(SocketsHttpHandler transport)
        => transport.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
}
