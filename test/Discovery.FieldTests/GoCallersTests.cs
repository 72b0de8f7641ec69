using System.Net;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Go programs dial a target in etcd, and grpc-go makes an authority of it that is no host.</summary>
public sealed class GoCallersTests
{
    private static readonly string[] Targets =
    [
        "openim:///User/", "etcd:///services/User", "etcd:///services/User/", "etcd:///User", "etcd:///openim/user-rpc-service",
        "zero:///127.0.0.1:2379,127.0.0.1:22379",
    ];

    [Fact]
    public async Task A_Kestrel_that_registers_answers_them()
    {
        await using var app = await StartAsync(isAccepted: true);

        var output = await Peer.RunGoAsync("go/caller.go", [new Uri(app.Urls.First()).Authority, .. Targets]);

        Assert.Equal(
            ["user", "user", "user", "User", "user-rpc-service", "zero.rpc"],
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }

    [Fact]
    public async Task Without_that_Kestrel_resets_them()
    {
        await using var app = await StartAsync(isAccepted: false);

        var output = await Peer.RunGoAsync("go/caller.go", [new Uri(app.Urls.First()).Authority, .. Targets]);

        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.Equal([true, true, true, false, true, true], lines.Select(static l => l.StartsWith("error ", StringComparison.Ordinal)));
    }

    private static async Task<WebApplication> StartAsync(bool isAccepted)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Etcd:Endpoints"] = "http://127.0.0.1:1",
            ["Etcd:Registration:Services:User:Layouts"] = "OpenIm, EtcdNaming",
            ["Etcd:Registration:Services:user-rpc-service:Layout"] = "EtcdNaming:openim/",
            ["Etcd:Registration:Services:zero.rpc:Layout"] = "GoZero",
            ["Etcd:Registration:AcceptGoAuthority"] = isAccepted.ToString(),
        });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(static o => o.Listen(IPAddress.Loopback, 0, static l => l.Protocols = HttpProtocols.Http2));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc();
        builder.Services.AddEtcdRegistration(static o => o.GracefulStop = false);
        var app = builder.Build();
        app.MapGrpcService<HostGreeter>();
        await app.StartAsync();
        return app;
    }

    /// <summary>Greets with the host that the application sees.</summary>
    private sealed class HostGreeter : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = context.GetHttpContext().Request.Host.Value });
    }
}
