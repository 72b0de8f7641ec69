using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.FieldTests;

/// <summary>An application under development, with an embedded etcd, whose settings name the etcd of the team.</summary>
public sealed class OtherEtcdTests
{
    [Theory]
    [InlineData("Etcd:Endpoints")]
    [InlineData("Etcd:Endpoints:0")]
    [InlineData("Etcd:Endpoints:7")]
    [InlineData("ConnectionStrings:etcd")]
    public Task It_registers_in_the_embedded_one_whatever_the_settings_say(string setting)
        => OnlyTheEmbeddedOneIsUsedAsync((builder, team) => builder.Configuration.AddInMemoryCollection([new(setting, team)]));

    [Theory]
    [InlineData("Etcd__Endpoints")]
    [InlineData("Etcd__Endpoints__0")]
    [InlineData("ConnectionStrings__etcd")]
    public Task It_registers_in_the_embedded_one_whatever_the_environment_says(string variable)
        => OnlyTheEmbeddedOneIsUsedAsync((builder, team) =>
        {
            // Other tests see the same environment.
            var prefix = $"TEST_{Guid.NewGuid():N}_";
            Environment.SetEnvironmentVariable(prefix + variable, team);
            builder.Configuration.AddEnvironmentVariables(prefix);
        });

    [Theory]
    [InlineData("Etcd:Tls:CaFile", "/run/secrets/ca.pem")]
    [InlineData("Etcd:Username", "shop")]
    [InlineData("ConnectionStrings:etcd", "Endpoints=http://team:2379;Username=shop;Password=secret")]
    public Task It_starts_whatever_the_settings_say_of_tls_and_users(string setting, string value)
        => OnlyTheEmbeddedOneIsUsedAsync((builder, team) => builder.Configuration.AddInMemoryCollection([new("Etcd:Endpoints", team), new(setting, value)]));

    [Fact]
    public async Task Clusters_beside_the_default_one_are_warned_of_by_whatever_they_have_endpoints()
    {
        using var log = new LogRecorder();
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Development" });
        builder.Logging.ClearProviders().AddProvider(log);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(
            [new("Etcd:Clusters:section:Endpoints", "http://production:1"), new("ConnectionStrings:string", "Endpoints=http://production:2;Username=u;Password=secret")]);
        builder.AddEmbeddedEtcd();
        builder.Services.AddKeyedEtcdClient("section").AddKeyedEtcdClient("string").AddKeyedEtcdClient("code", static o => o.Endpoints = ["http://production:3"]);
        builder.Services.AddKeyedEtcdClient("same").AddOptions<EtcdClientOptions>("same")
            .Configure<EmbeddedEtcdServer>(static (o, etcd) => o.Endpoints = [etcd.Endpoint]);
        await using var app = builder.Build();

        await app.StartAsync();

        foreach (var (cluster, endpoint) in new[] { ("section", "http://production:1"), ("string", "http://production:2"), ("code", "http://production:3") })
        {
            Assert.True(log.Has(LogLevel.Warning, $"the cluster '{cluster}' has its own endpoints ({endpoint})"), cluster);
        }

        Assert.Equal(3, log.At(LogLevel.Warning).Count(static l => l.Contains("has its own endpoints", StringComparison.Ordinal)));
        Assert.DoesNotContain(log.Lines, static l => l.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_proxy_whose_destinations_are_in_the_embedded_one_starts_without_waiting()
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Development" });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.AddEmbeddedEtcd();
        builder.Services.AddReverseProxy()
            .LoadFromMemory(
                [],
                [
                    new ClusterConfig
                    {
                        ClusterId = Field.Service,
                        Destinations = new Dictionary<string, DestinationConfig>(StringComparer.Ordinal) { ["all"] = new DestinationConfig { Address = "etcd://svc" } },
                    },
                ])
            .AddEtcdDestinationResolver(static o => o.ReadyTimeout = TimeSpan.FromHours(1));
        await using var app = builder.Build();

        // YARP asks for them here, before the application starts.
        await Task.Run(() => app.MapReverseProxy()).WaitAsync(TimeSpan.FromMinutes(1));
        await app.StartAsync();

        Assert.True(app.Services.GetRequiredService<IProxyStateLookup>().TryGetCluster(Field.Service, out _));
    }

    private static async Task OnlyTheEmbeddedOneIsUsedAsync(Action<WebApplicationBuilder, string> configure)
    {
        await using var team = await EmbeddedEtcdServer.StartAsync();
        var revision = team.Revision;
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Development" });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(
            [new("Etcd:Registration:ServiceName", Field.Service), new("Etcd:Registration:GracefulStop", "false")]);
        configure(builder, team.Endpoint);
        builder.AddEmbeddedEtcd();
        builder.Services.AddEtcdRegistration();
        builder.Services.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
        await using var app = builder.Build();
        app.Run(static c => Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(c.Response, "hello"));
        await app.StartAsync();
        using var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        Assert.Equal("hello", await client.GetStringAsync("x"));
        Assert.Equal(ServiceRegistrationState.Registered, app.Services.GetRequiredService<IServiceRegistration>().Status.State);
        await app.StopAsync();

        Assert.Equal(revision, team.Revision);
    }
}
