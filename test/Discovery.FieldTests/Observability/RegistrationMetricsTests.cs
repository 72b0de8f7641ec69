using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests.Observability;

/// <summary>The metrics of this application's registration.</summary>
public sealed class RegistrationMetricsTests
{
    [Fact]
    public async Task The_state_the_lease_and_registrations_again_are_measured()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var application = Create(etcd.Endpoint, cluster: null);
        using var metrics = new MetricRecorder(application.Services);
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Registered);

        Assert.Equal(1, metrics.Value("discovery.registration.state", ("discovery.registration.state", "registered")));
        Assert.Equal(0, metrics.Value("discovery.registration.state", ("discovery.registration.state", "draining")));
        Assert.Equal(1, metrics.Value("discovery.registration.state"));
        Assert.InRange(metrics.Value("discovery.registration.lease.remaining"), 1, 60);
        Assert.Equal(0, metrics.Value("discovery.registration.reregistrations"));

        Assert.True(etcd.ExpireLease(registration.Status.LeaseId));
        await Eventually.IsTrue(() => metrics.Value("discovery.registration.reregistrations") == 1);
        await Eventually.IsTrue(() => metrics.Value("discovery.registration.state", ("discovery.registration.state", "registered")) == 1);

        await application.StopAsync();
        Assert.Equal(1, metrics.Value("discovery.registration.state", ("discovery.registration.state", "stopped")));
    }

    [Fact]
    public async Task What_belongs_to_a_named_cluster_says_so()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var application = Create(etcd.Endpoint, cluster: "dc2");
        using var metrics = new MetricRecorder(application.Services);
        await application.StartAsync();
        (string, object) cluster = ("discovery.cluster", "dc2");
        await Eventually.IsTrue(() => metrics.Value("discovery.registration.state", cluster, ("discovery.registration.state", "registered")) == 1);
        using var client = application.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        Assert.Equal("here", await client.GetStringAsync("http://svc/"));

        Assert.InRange(metrics.Value("discovery.registration.lease.remaining", cluster), 1, 60);
        Assert.Equal(1, metrics.Value("discovery.client.picks", cluster, ("discovery.pick.result", "picked")));
        Assert.Equal(1, metrics.Value("discovery.directory.lists", cluster, ("discovery.list.cause", "start")));
        Assert.True(metrics.Count("etcd.client.operation.duration", cluster, ("rpc.method", "LeaseGrant")) > 0);
        Assert.Empty(metrics.All.Where(static m => !m.Tags.ContainsKey("discovery.cluster")).Select(static m => m.Name).Distinct());
        await application.StopAsync();
    }

    private static WebApplication Create(string endpoint, string? cluster)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        if (cluster is null)
        {
            builder.Services.AddEtcdClient(o => o.Endpoints = [endpoint]);
            builder.Services.AddEtcdRegistration(Configure);
        }
        else
        {
            builder.Services.AddKeyedEtcdClient(cluster, o => o.Endpoints = [endpoint]);
            builder.Services.AddKeyedEtcdRegistration(cluster, Configure);
        }

        builder.Services.AddHttpClient("client").AddEtcdDiscovery(Field.Service, o => (o.Cluster, o.AllowLoopback) = (cluster, true));
        var application = builder.Build();
        application.MapGet("/", static () => "here");
        return application;

        static void Configure(EtcdRegistrationOptions o)
            => (o.ServiceName, o.AllowLoopback, o.GracefulStop) = (Field.Service, true, false);
    }
}
