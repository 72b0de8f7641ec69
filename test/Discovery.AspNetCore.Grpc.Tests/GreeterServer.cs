using System.Net;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>A greeter on a free port that registers itself.</summary>
internal sealed class GreeterServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private GreeterServer(WebApplication app) => _app = app;

    public string Address => new Uri(_app.Urls.First()).Authority;

    public static async Task<GreeterServer> StartAsync(string etcd, string serviceName = "greeter")
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc();
        builder.Services.AddEtcdClient(o => o.Endpoints = [etcd]);
        builder.Services.AddEtcdRegistration(o =>
        {
            o.ServiceName = serviceName;
            o.FailFast = true;
            o.DrainDelay = TimeSpan.Zero;
            o.LeaveDelay = TimeSpan.Zero;
        });
        var app = builder.Build();
        app.MapGrpcService<Service>();
        await app.StartAsync();
        return new GreeterServer(app);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private sealed class Service : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
        {
            var steering = context.RequestHeaders.Where(static h => h.Key.StartsWith("discovery-", StringComparison.Ordinal)).Select(static h => h.Key);
            return Task.FromResult(new HelloReply
            {
                Message = string.Join(' ', [request.Name, context.GetHttpContext().Connection.LocalPort.ToString(), .. steering]),
            });
        }
    }
}
