using System.Net;
using Discovery.IntegrationTests.Interop;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>The service of interop.proto on a free port: every kind of call. It registers itself when it is told of an etcd.</summary>
internal sealed class InteropServer : IAsyncDisposable
{
    public const string ServiceName = "interop";

    private readonly WebApplication _app;

    private InteropServer(WebApplication app, CallObserver observer) => (_app, Observer) = (app, observer);

    public string Address => new Uri(_app.Urls.First()).Authority;

    public CallObserver Observer { get; }

    public static async Task<InteropServer> StartAsync(string? etcd)
    {
        var observer = new CallObserver();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc(static o => o.MaxReceiveMessageSize = null);
        builder.Services.AddSingleton(observer);
        if (etcd is not null)
        {
            builder.Services.AddEtcdClient(o =>
            {
                o.Endpoints = [etcd];

                // The start fails with it, and these tests are not about how fast a machine is.
                o.RequestTimeout = TimeSpan.FromSeconds(30);
            });
            builder.Services.AddEtcdRegistration(o =>
            {
                o.ServiceName = ServiceName;
                o.FailFast = true;
                o.DrainDelay = TimeSpan.Zero;
                o.LeaveDelay = TimeSpan.Zero;
            });
        }

        var app = builder.Build();
        app.MapGrpcService<InteropService>();
        await app.StartAsync();
        return new InteropServer(app, observer);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
