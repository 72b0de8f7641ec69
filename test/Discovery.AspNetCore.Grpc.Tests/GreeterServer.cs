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
    /// <summary>The name that is greeted as the authority that the call named.</summary>
    public const string AskForAuthority = "authority?";

    private readonly WebApplication _app;

    private GreeterServer(WebApplication app) => _app = app;

    public string Address => new Uri(_app.Urls.First()).Authority;

    public int Port => new Uri(_app.Urls.First()).Port;

    /// <summary>The registration of the server, to take it out of service.</summary>
    public IServiceRegistration Registration => _app.Services.GetRequiredService<IServiceRegistration>();

    public static async Task<GreeterServer> StartAsync(
        string etcd, string serviceName = "greeter", Action<ListenOptions>? listen = null, Action<EtcdRegistrationOptions>? configure = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, endpoint =>
            {
                endpoint.Protocols = HttpProtocols.Http2;
                listen?.Invoke(endpoint);
            }));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc();
        builder.Services.AddEtcdClient(o =>
        {
            o.Endpoints = [etcd];

            // The start fails with it, and these tests are not about how fast a machine is.
            o.RequestTimeout = TimeSpan.FromSeconds(30);
        });
        builder.Services.AddEtcdRegistration(o =>
        {
            o.ServiceName = serviceName;
            o.FailFast = true;
            o.DrainDelay = TimeSpan.Zero;
            o.LeaveDelay = TimeSpan.Zero;
            configure?.Invoke(o);
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
                Message = string.Join(' ', [request.Name == AskForAuthority ? context.Host : request.Name, context.GetHttpContext().Connection.LocalPort.ToString(), .. steering]),
            });
        }
    }
}
