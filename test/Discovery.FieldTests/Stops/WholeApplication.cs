using System.Collections.Concurrent;
using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Grpc.Core;
using Grpc.Health.V1;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.FieldTests.Stops;

/// <summary>An application that uses all of it: it is registered, calls itself by every kind of client, has health checks, the page and a proxy.</summary>
internal sealed class WholeApplication
{
    public const string Service = "shop";

    private readonly TaskCompletionSource _checked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentQueue<string> _stages = [];

    /// <param name="etcd">The etcd; null for one that the application runs itself.</param>
    /// <param name="failFast">Whether the start waits for the registration.</param>
    /// <param name="add">Adds services of its own.</param>
    public WholeApplication(EmbeddedEtcdServer? etcd, bool failFast = false, Action<IServiceCollection>? add = null)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = Environments.Development });
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Debug).AddProvider(Log);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Etcd:Endpoints"] = etcd?.Endpoint,
            ["Kestrel:Endpoints:Web:Url"] = "http://127.0.0.1:0",
            ["Kestrel:Endpoints:Grpc:Url"] = "http://127.0.0.1:0",
            ["Kestrel:Endpoints:Grpc:Protocols"] = "Http2",
        });
        if (etcd is null)
        {
            builder.AddEmbeddedEtcd();
        }

        var services = builder.Services;

        // First, so that each of its stages begins before those of the library.
        services.AddSingleton<IHostedService>(new Stages(_stages));
        services.AddEtcdRegistration(o =>
        {
            o.ServiceName = Service;
            o.FailFast = failFast;
            o.AllowLoopback = true;
            o.TimeToLive = TimeSpan.FromMinutes(1);
            o.DrainDelay = TimeSpan.FromMilliseconds(50);
            o.LeaveDelay = TimeSpan.FromMilliseconds(20);
        });
        services.AddGrpc();
        services.AddGrpcHealthChecks().AddEtcdRegistration();
        services.AddHealthChecks().AddEtcd().AddEtcdDiscovery(Service).AddEtcdRegistrationCheck()
            .AddCheck("own", () => { _checked.TrySetResult(); return HealthCheckResult.Healthy(); });
        services.AddEtcdGrpcClient<Greeter.GreeterClient>(Service);
        services.AddHttpClient(Service).AddEtcdDiscovery(Service);
        AddProxy(services, hasEtcd: etcd is not null);
        add?.Invoke(services);
        Host = builder.Build();
        Host.MapGrpcService<GreeterService>();
        Host.MapGrpcHealthChecksService();
        Host.MapEtcdDiscovery();
        Host.MapEtcdPrometheusTargets();
        Host.MapReverseProxy();
        Host.MapGet("/", () => "hello");
        Started = Host.Lifetime.ApplicationStarted;
        Stopping = Host.Lifetime.ApplicationStopping;
    }

    public CancellationToken Started { get; }

    public CancellationToken Stopping { get; }

    public WebApplication Host { get; }

    public SevereLog Log { get; } = new();

    public T Get<T>()
        where T : notnull
        => Host.Services.GetRequiredService<T>();

    /// <summary>Whether a stage of the host has begun.</summary>
    public bool IsAt(string stage) => _stages.Contains(stage);

    /// <summary>Whether a health check was run.</summary>
    public bool IsChecked => _checked.Task.IsCompleted;

    /// <summary>Uses it by all of its clients.</summary>
    public async Task UseAsync()
    {
        await Eventually.IsTrue(() => Get<IServiceRegistration>().Status.State == ServiceRegistrationState.Registered);
        await Get<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "x" }, deadline: DateTime.UtcNow.AddSeconds(30));
        using var http = Get<IHttpClientFactory>().CreateClient(Service);
        Assert.Equal("hello", await http.GetStringAsync("http://shop/"));
    }

    /// <summary>The proxy asks for its destinations before the host starts, and so before the application's own etcd runs: then it has none.</summary>
    private static void AddProxy(IServiceCollection services, bool hasEtcd)
        => services.AddReverseProxy().LoadFromMemory(
            [new RouteConfig { RouteId = "all", ClusterId = Service, Match = new RouteMatch { Path = "/proxied/{**rest}" } }],
            [
                new ClusterConfig
                {
                    ClusterId = Service,
                    Destinations = hasEtcd ? new Dictionary<string, DestinationConfig> { ["all"] = new() { Address = $"etcd://{Service}" } } : null,
                },
            ]).AddEtcdDestinationResolver();

    private sealed class GreeterService : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = request.Name });
    }

    private sealed class Stages(ConcurrentQueue<string> begun) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => Begin(nameof(StartingAsync));

        public Task StartAsync(CancellationToken cancellationToken) => Begin(nameof(StartAsync));

        public Task StartedAsync(CancellationToken cancellationToken) => Begin(nameof(StartedAsync));

        public Task StoppingAsync(CancellationToken cancellationToken) => Begin(nameof(StoppingAsync));

        public Task StopAsync(CancellationToken cancellationToken) => Begin(nameof(StopAsync));

        public Task StoppedAsync(CancellationToken cancellationToken) => Begin(nameof(StoppedAsync));

        private Task Begin(string stage)
        {
            begun.Enqueue(stage);
            return Task.CompletedTask;
        }
    }
}
