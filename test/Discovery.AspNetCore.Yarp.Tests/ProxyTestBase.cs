using System.Net;
using Discovery.AspNetCore.Yarp.LoadBalancing;
using Discovery.EmbeddedEtcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>An etcd of the test's own, servers that register themselves in it, and proxies in front of them.</summary>
public abstract class ProxyTestBase : IAsyncLifetime
{
    private readonly List<WebApplication> _apps = [];

    protected EmbeddedEtcdServer Etcd { get; private set; } = null!;

    protected LogRecorder Log { get; } = new();

    protected TimeSpan ReadyTimeout { get; set; } = TimeSpan.FromSeconds(30);

    public async Task InitializeAsync() => Etcd = await EmbeddedEtcdServer.StartAsync();

    public async Task DisposeAsync()
    {
        Etcd.Resume();
        foreach (var app in Enumerable.Reverse(_apps))
        {
            await app.DisposeAsync();
        }

        await Etcd.DisposeAsync();
    }

    protected static string Port(WebApplication app) => new Uri(app.Urls.First()).Port.ToString();

    /// <summary>The proxy's destinations now.</summary>
    protected static IReadOnlyDictionary<string, DestinationConfig> Destinations(WebApplication proxy, string cluster = "greeter")
        => proxy.Services.GetRequiredService<IProxyStateLookup>().TryGetCluster(cluster, out var state)
            ? state.Destinations.ToDictionary(static d => d.Key, static d => d.Value.Model.Config)
            : new Dictionary<string, DestinationConfig>();

    protected async Task<WebApplication> StartServerAsync(
        Action<EtcdRegistrationOptions>? configure = null, RequestDelegate? answer = null, Action<KestrelServerOptions>? listen = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(listen ?? (static _ => { }));
        builder.Services.AddEtcdClient(o => o.Endpoints = [Etcd.Endpoint]);
        builder.Services.AddEtcdRegistration(o =>
        {
            o.ServiceName = "Greeter";
            o.FailFast = true;
            o.DrainDelay = TimeSpan.FromSeconds(1);
            o.LeaveDelay = TimeSpan.FromSeconds(0.5);
            configure?.Invoke(o);
        });
        var app = builder.Build();
        _apps.Add(app);
        app.Run(answer ?? (static context => context.Response.WriteAsync(context.Connection.LocalPort.ToString())));
        await app.StartAsync();
        return app;
    }

    protected Task<WebApplication> StartProxyAsync(
        string address = "etcd://Greeter",
        string? policy = null,
        Action<IServiceCollection>? configure = null,
        Action<IReverseProxyApplicationBuilder>? pipeline = null)
        => StartProxyAsync([new DestinationConfig { Address = address }], policy, configure, pipeline);

    protected Task<WebApplication> StartProxyAsync(
        IReadOnlyList<DestinationConfig> destinations,
        string? policy = null,
        Action<IServiceCollection>? configure = null,
        Action<IReverseProxyApplicationBuilder>? pipeline = null)
        => StartProxyAsync(
            new ClusterConfig
            {
                ClusterId = "greeter",
                LoadBalancingPolicy = policy,
                Destinations = destinations.Select(static (d, i) => (d, i)).ToDictionary(static d => $"d{d.i}", static d => d.d),
            },
            proxy => configure?.Invoke(proxy.Services),
            pipeline);

    /// <summary>Starts a proxy with one route, to a cluster.</summary>
    protected Task<WebApplication> StartProxyAsync(
        ClusterConfig cluster,
        Action<IReverseProxyBuilder>? configure = null,
        Action<IReverseProxyApplicationBuilder>? pipeline = null,
        TimeSpan? timeout = null)
        => StartProxyAsync(builder =>
        {
            var route = new RouteConfig { RouteId = "all", ClusterId = cluster.ClusterId, Match = new RouteMatch { Path = "{**rest}" }, Timeout = timeout };
            var proxy = builder.Services.AddReverseProxy().LoadFromMemory([route], [cluster]).AddEtcdDestinationResolver(o => o.ReadyTimeout = ReadyTimeout);
            configure?.Invoke(proxy);
        }, pipeline);

    protected async Task<WebApplication> StartProxyAsync(
        Action<WebApplicationBuilder> configure, Action<IReverseProxyApplicationBuilder>? pipeline = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(Log);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = Etcd.Endpoint;
        builder.Services.AddRequestTimeouts();
        configure(builder);
        var app = builder.Build();
        _apps.Add(app);
        app.UseRequestTimeouts();
        _ = pipeline is null ? app.MapReverseProxy() : app.MapReverseProxy(pipeline);
        await app.StartAsync();
        return app;
    }

    /// <summary>What <c>EtcdLeastLoad</c> knows of the cluster <c>greeter</c>.</summary>
    private protected static ClusterBalancer BalancerOf(WebApplication proxy)
    {
        Assert.True(proxy.Services.GetRequiredService<IProxyStateLookup>().TryGetCluster("greeter", out var cluster));
        return proxy.Services.GetRequiredService<ClusterBalancers>().Of(cluster);
    }

    protected static HttpClient ClientOf(WebApplication app) => new() { BaseAddress = new Uri(app.Urls.First()) };

    protected static async Task<(HttpStatusCode Status, string Text)> GetAsync(HttpClient client, string path = "/")
    {
        using var response = await client.GetAsync(new Uri(path, UriKind.Relative));
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }
}
