using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.TestKit;

/// <summary>A Kestrel on a free port.</summary>
public sealed class BackendServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _connections;
    private int _requests;

    private BackendServer(WebApplication app) => _app = app;

    /// <summary>Host and port.</summary>
    public string Address => new Uri(_app.Urls.First()).Authority;

    /// <summary>How many connections are open.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>How many requests arrived.</summary>
    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Starts it. It answers with its address unless told otherwise.</summary>
    public static async Task<BackendServer> StartAsync(
        RequestDelegate? answer = null, HttpProtocols protocols = HttpProtocols.Http1, Action<ListenOptions>? listen = null, IPEndPoint? address = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        BackendServer? server = null;
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(address ?? new IPEndPoint(IPAddress.Loopback, 0), endpoint =>
        {
            endpoint.Protocols = protocols;
            endpoint.Use(next => async connection =>
            {
                Interlocked.Increment(ref server!._connections);
                try
                {
                    await next(connection);
                }
                finally
                {
                    Interlocked.Decrement(ref server._connections);
                }
            });
            listen?.Invoke(endpoint);
        }));
        var app = builder.Build();
        server = new BackendServer(app);
        app.Run(context =>
        {
            Interlocked.Increment(ref server._requests);
            return answer is null ? context.Response.WriteAsync(server.Address) : answer(context);
        });
        await app.StartAsync();
        return server;
    }

    /// <summary>Cuts all connections at once.</summary>
    public Task KillAsync() => _app.Services.GetRequiredService<IServer>().StopAsync(new CancellationToken(canceled: true));

    /// <inheritdoc />
    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
