using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.IntegrationTests.Interop;

/// <summary>A Kestrel on a free port that serves <see cref="InteropService"/> over HTTP/2 without TLS, and a channel to it.</summary>
public sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly List<GrpcChannel> _channels = [];

    private TestServer(WebApplication app)
    {
        _app = app;
        Address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        Client = CreateClient();
    }

    public string Address { get; }

    public Peers.V1.Interop.InteropClient Client { get; }

    public CallObserver Observer => _app.Services.GetRequiredService<CallObserver>();

    public static async Task<TestServer> StartAsync(
        Action<GrpcServiceOptions>? configure = null,
        Action<WebApplication>? map = null,
        HttpProtocols protocols = HttpProtocols.Http2,
        Action<IServiceCollection>? services = null)
    {
        // Reads no settings: a file beside the tests, or a variable, must not decide where it listens.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = protocols));
        builder.Services.AddGrpc(configure ?? (_ => { }));
        builder.Services.AddSingleton<CallObserver>();
        services?.Invoke(builder.Services);
        var app = builder.Build();
        (map ?? (a => a.MapGrpcService<InteropService>()))(app);
        await app.StartAsync();
        return new TestServer(app);
    }

    public Peers.V1.Interop.InteropClient CreateClient(Action<GrpcChannelOptions>? configure = null)
    {
        var options = new GrpcChannelOptions();
        configure?.Invoke(options);
        var channel = GrpcChannel.ForAddress(Address, options);
        _channels.Add(channel);
        return new Peers.V1.Interop.InteropClient(channel);
    }

    public async ValueTask DisposeAsync()
    {
        _channels.ForEach(channel => channel.Dispose());
        await _app.DisposeAsync();
    }
}
