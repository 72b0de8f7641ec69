using System.Net;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Greeter.Server;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Quickstart;

/// <summary>One greeter server, as examples/Greeter.Server has it, on a free port.</summary>
internal sealed class GreeterInstance : IAsyncDisposable
{
    private readonly WebApplication _app;

    private GreeterInstance(WebApplication app) => _app = app;

    /// <summary>The address in its replies.</summary>
    public string Address => new Uri(_app.Urls.First()).Authority;

    /// <summary>Its keys in etcd.</summary>
    public IReadOnlyList<string> Keys => _app.Services.GetRequiredService<IServiceRegistration>().Status.Keys;

    public static async Task<GreeterInstance> StartAsync(string[] args)
    {
        var builder = CreateBuilder(args);
        builder.WebHost.ConfigureKestrel(static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();

        // The tour shows the keys as soon as the instance has started, and all of its clients are in this process.
        builder.Services.AddEtcdRegistration(static options => (options.FailFast, options.AllowLoopback) = (true, true));

        var app = builder.Build();
        app.MapGrpcService<GreeterService>();
        await app.StartAsync();
        return new GreeterInstance(app);
    }

    /// <summary>Reads the tour's appsettings.json wherever the tour is started from.</summary>
    public static WebApplicationBuilder CreateBuilder(string[] args)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
        if (!builder.Configuration.GetSection("Etcd:Endpoints").Exists() && builder.Configuration.GetConnectionString("etcd") is null)
        {
            // Not in appsettings.json, where it would win over a connection string from the environment.
            builder.Configuration["Etcd:Endpoints"] = "http://localhost:2379";
        }

        return builder;
    }

    /// <summary>Stops as a deployment stops it: it drains, leaves etcd, and finishes its calls.</summary>
    public Task StopAsync() => _app.StopAsync();

    /// <summary>
    /// Goes as a crash goes, as far as that can be had within a living process: connections are cut, and its lease is left to run out.
    /// </summary>
    public async Task KillAsync()
    {
        await _app.Services.GetRequiredService<EtcdClient>().DisposeAsync();
        await _app.Services.GetRequiredService<IServer>().StopAsync(new CancellationToken(canceled: true));
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
