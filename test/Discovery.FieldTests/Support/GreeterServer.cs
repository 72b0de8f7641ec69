using System.Net;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests.Support;

/// <summary>A greeter of Grpc.AspNetCore, with its own limits and its own way with exceptions.</summary>
internal sealed class GreeterServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _requests;

    private GreeterServer(WebApplication app) => _app = app;

    /// <summary>Host and port.</summary>
    public string Address => new Uri(_app.Urls.First()).Authority;

    /// <summary>How many requests arrived.</summary>
    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Starts one and registers it.</summary>
    /// <param name="field">Where it is registered.</param>
    /// <param name="greet">What it answers to a name.</param>
    public static async Task<GreeterServer> StartAsync(Field field, Func<string, string> greet)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(new Service(greet));
        builder.WebHost.ConfigureKestrel(static k => k.Listen(new IPEndPoint(IPAddress.Loopback, 0), static l => l.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        var server = new GreeterServer(app);
        app.Use(next => context =>
        {
            Interlocked.Increment(ref server._requests);
            return next(context);
        });
        app.MapGrpcService<Service>();
        await app.StartAsync();
        field.Own(server);
        await field.RegisterAsync(server.Address);
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    public sealed class Service(Func<string, string> greet) : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = greet(request.Name) });
    }
}
