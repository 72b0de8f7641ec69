using System.Net;
using Grpc.AspNetCore.HealthChecks;
using Grpc.Core;
using Grpc.Net.Client;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Discovery.AspNetCore.Grpc.Tests.Health;

/// <summary>A greeter on a free port that registers itself, and whose health follows the registration.</summary>
internal sealed class HealthServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private HealthServer(WebApplication app) => _app = app;

    public IServiceRegistration Registration => _app.Services.GetRequiredService<IServiceRegistration>();

    /// <summary>What the host starts and stops, of this library.</summary>
    public IReadOnlyList<IHostedService> HostedServices
        => [.. _app.Services.GetServices<IHostedService>().Where(static s => s.GetType().FullName!.StartsWith("Discovery.", StringComparison.Ordinal))];

    public string Authority => new Uri(_app.Urls.First()).Authority;

    public static async Task<HealthServer> StartAsync(
        string etcd,
        Action<GrpcHealthChecksOptions>? configure = null,
        Action<EtcdRegistrationOptions>? registration = null,
        Action<IHealthChecksBuilder>? checks = null,
        Action<IServiceCollection>? add = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc();
        builder.Services.AddEtcdClient(o => o.Endpoints = [etcd]);
        builder.Services.AddEtcdRegistration(o =>
        {
            o.ServiceName = "greeter";
            o.FailFast = true;
            o.DrainDelay = TimeSpan.Zero;
            o.LeaveDelay = TimeSpan.Zero;
            registration?.Invoke(o);
        });

        // Twice is once.
        var health = builder.Services.AddGrpcHealthChecks(o => configure?.Invoke(o)).AddEtcdRegistration().AddEtcdRegistration();
        checks?.Invoke(health);
        add?.Invoke(builder.Services);
        var app = builder.Build();
        app.MapGrpcService<GreeterService>();
        app.MapGrpcHealthChecksService();
        await app.StartAsync();
        return new HealthServer(app);
    }

    public GrpcChannel Channel() => GrpcChannel.ForAddress(_app.Urls.First());

    public Task StopAsync() => _app.StopAsync();

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private sealed class GreeterService : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = request.Name });
    }
}
