using System.Net;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

/// <summary>Servers that register themselves, and clients of Microsoft.Extensions.ServiceDiscovery.</summary>
public sealed class ClientTests : DirectoryTestBase
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_HttpClient_follows_servers_that_come_and_go(bool isResilient)
    {
        Configure = s =>
        {
            var client = s.AddHttpClient("greeter", static c => c.BaseAddress = new Uri("http://greeter"));
            if (isResilient)
            {
                client.AddStandardResilienceHandler();
            }

            client.AddServiceDiscovery();
        };
        await using var first = await StartAsync();
        using var http = Services.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");
        Assert.Equal(Port(first), await http.GetStringAsync(new Uri("/", UriKind.Relative)));

        await using var second = await StartAsync();
        await Eventually.IsTrue(async () => await http.GetStringAsync(new Uri("/", UriKind.Relative)) == Port(second));

        // It drains, so nobody is sent to it any more, and then it goes.
        await first.StopAsync();
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(Port(second), await http.GetStringAsync(new Uri("/", UriKind.Relative)));
        }
    }

    [Fact]
    public async Task A_gRPC_client_of_the_client_factory_resolves_by_it()
    {
        Configure = static s => s.AddGrpcClient<Greeter.GreeterClient>(static o => o.Address = new Uri("http://greeter")).AddServiceDiscovery();
        await using var server = await StartAsync(HttpProtocols.Http2);

        var reply = await Services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "eve" });

        Assert.Equal("Hello eve", reply.Message);
    }

    [Fact]
    public async Task A_client_that_discovers_by_itself_is_left_out_of_what_all_clients_are_given()
    {
        Configure = static s =>
        {
            s.ConfigureHttpClientDefaults(static http => http.AddServiceDiscovery());
            s.AddHttpClient("greeter").AddEtcdDiscovery();
        };
        await using var server = await StartAsync();

        using var http = Services.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");

        Assert.Equal(Port(server), await http.GetStringAsync(new Uri("/", UriKind.Relative)));
    }

    private static string Port(WebApplication server) => new Uri(server.Urls.First()).Port.ToString();

    private async Task<WebApplication> StartAsync(HttpProtocols protocols = HttpProtocols.Http1)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = protocols));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc();
        builder.Services.AddEtcdClient(o => o.Endpoints = [Etcd.Endpoint]);
        builder.Services.AddEtcdRegistration(static o =>
        {
            o.ServiceName = "greeter";
            o.FailFast = true;
            o.DrainDelay = TimeSpan.FromSeconds(1);
            o.LeaveDelay = TimeSpan.Zero;
        });
        var app = builder.Build();
        app.MapGet("/", static (HttpContext context) => context.Connection.LocalPort.ToString());
        app.MapGrpcService<Service>();
        await app.StartAsync();
        return app;
    }

    private sealed class Service : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = $"Hello {request.Name}" });
    }
}
