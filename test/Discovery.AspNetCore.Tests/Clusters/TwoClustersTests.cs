using System.Text;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Clusters;

/// <summary>One service name in two clusters.</summary>
public sealed class TwoClustersTests : IAsyncDisposable
{
    private readonly ModelEtcd _here = new();
    private readonly ModelEtcd _there = new() { Cluster = "dc2", Endpoints = [new Uri("http://127.0.0.1:2379")] };
    private readonly LogRecorder _log = new();
    private readonly DirectoryInfo _files = Directory.CreateTempSubdirectory("clusters");
    private readonly Dictionary<string, string?> _settings = [];
    private readonly Lazy<ServiceProvider> _services;

    public TwoClustersTests()
    {
        _settings["Etcd:Discovery:SnapshotDirectory"] = _files.FullName;
        _services = new(() =>
        {
            var services = new ServiceCollection();
            services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(_settings).Build());
            services.AddLogging(l => l.AddProvider(_log).SetMinimumLevel(LogLevel.Debug));
            services.AddSingleton<IServiceSource>(_here);
            services.AddKeyedSingleton<IServiceSource>("dc2", _there);
            services.AddKeyedEtcdClient("dc2");
            services.AddEtcdDiscovery();
            services.AddHealthChecks().AddEtcdDiscovery("svc");
            services.AddHttpClient("here").AddEtcdDiscovery("svc");
            services.AddHttpClient("there").AddEtcdDiscovery("svc", o => o.Cluster = "DC2");
            return services.BuildServiceProvider();
        });
        Put(_here, "10.0.0.1:80");
        Put(_there, "10.0.0.2:80");
    }

    private IServiceDirectory ThereDirectory => _services.Value.GetRequiredKeyedService<IServiceDirectory>("dc2");

    private IServiceDirectory Unkeyed => _services.Value.GetRequiredService<IServiceDirectory>();

    [Fact]
    public async Task Clients_go_to_their_own_cluster_and_share_nothing()
    {
        var pools = _services.Value.GetRequiredService<PoolCache>();
        var (here, there) = (pools.OfClient("here"), pools.OfClient("there"));

        await Eventually.IsTrue(() => here.Current is not null && there.Current is not null);

        Assert.Equal(["10.0.0.1:80"], (await Unkeyed.WaitForReadyAsync("svc")).Instances.Select(static i => i.Address));
        Assert.Equal(["10.0.0.2:80"], (await ThereDirectory.WaitForReadyAsync("svc")).Instances.Select(static i => i.Address));
        Assert.Equal((1, 1), (here.Current!.Instances.Count, there.Current!.Instances.Count));
        Assert.Equal((1, 1), (_here.Watches, _there.Watches));
        Assert.NotSame(here, there);
    }

    [Fact]
    public async Task The_end_of_one_cluster_is_nothing_to_the_other()
    {
        await Unkeyed.WaitForReadyAsync("svc");
        await ThereDirectory.WaitForReadyAsync("svc");
        _there.IsDown = true;
        _there.Disconnect();

        Put(_here, "10.0.0.3:80");

        await Eventually.IsTrue(() => Unkeyed.GetSnapshot("svc")!.Instances.Count == 2);
        Assert.Single(ThereDirectory.GetSnapshot("svc")!.Instances);
    }

    [Fact]
    public async Task The_directory_without_a_key_looks_where_the_settings_say()
    {
        _settings["Etcd:Discovery:Services:svc:Cluster"] = "dc2";

        Assert.Equal(["10.0.0.2:80"], (await Unkeyed.WaitForReadyAsync("svc")).Instances.Select(static i => i.Address));
        Assert.Equal("dc2", Unkeyed.GetStatus("svc").Cluster);
        Assert.Equal("dc2", Assert.Single(Unkeyed.Services).Cluster);
        Assert.Equal(0, _here.Lists);
    }

    [Fact]
    public async Task An_empty_name_is_the_default_cluster_among_services_that_are_elsewhere()
    {
        _settings["Etcd:Discovery:Cluster"] = "dc2";
        _settings["Etcd:Discovery:Services:svc:Cluster"] = "";

        Assert.Equal(["10.0.0.1:80"], (await Unkeyed.WaitForReadyAsync("svc")).Instances.Select(static i => i.Address));
    }

    [Fact]
    public async Task Each_cluster_has_snapshot_files_of_its_own()
    {
        await Unkeyed.WaitForReadyAsync("svc");
        await ThereDirectory.WaitForReadyAsync("svc");
        await _services.Value.DisposeAsync();

        Assert.Single(_files.GetFiles());
        Assert.Equal("dc2", Assert.Single(_files.GetDirectories()).Name);
        Assert.Equal(2, _files.GetFiles("*", SearchOption.AllDirectories).Select(static f => File.ReadAllText(f.FullName)).Distinct().Count());
    }

    [Fact]
    public async Task Both_stand_in_the_status_and_logs_name_the_cluster_that_is_not_the_default()
    {
        await Unkeyed.WaitForReadyAsync("svc");
        await ThereDirectory.WaitForReadyAsync("svc");

        Assert.Equal([null, "dc2"], Unkeyed.Services.Select(static s => s.Cluster));
        Assert.Equal("dc2", Assert.Single(ThereDirectory.Services).Cluster);
        var published = _log.At(LogLevel.Debug).Where(static l => l.Contains("Service 'svc' has 1 instances", StringComparison.Ordinal)).ToList();
        Assert.Equal((2, 1), (published.Count, published.Count(static l => l.Contains("Cluster dc2: Service", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task Whoever_waits_in_vain_is_told_which_setting_has_the_endpoints()
    {
        _settings["Etcd:Discovery:ReadyTimeout"] = "00:00:00.05";
        _there.IsDown = true;

        var error = await Assert.ThrowsAsync<ServiceDiscoveryException>(async () => await ThereDirectory.WaitForReadyAsync("svc"));

        Assert.Contains("http://127.0.0.1:2379/ (Etcd:Clusters:dc2:Endpoints)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_ejected_in_one_cluster_is_none_of_the_others_health()
    {
        Put(_there, "10.0.0.1:80");
        var pools = _services.Value.GetRequiredService<PoolCache>();
        var (here, there) = (pools.OfClient("here"), pools.OfClient("there"));
        await Eventually.IsTrue(() => here.Current is { Instances.Count: 1 } && there.Current is { Instances.Count: 2 });
        var failing = there.Current!.Instances.Single(static i => i.Record.Address == "10.0.0.1:80");
        for (var i = 0; i < 5; i++)
        {
            failing.OnCallEnded(failing.OnCallStarted(), CallOutcome.Failure);
        }

        Assert.True(failing.IsEjected);
        var report = await _services.Value.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.Equal((HealthStatus.Healthy, 0), (report.Status, report.Entries["etcd-discovery-svc"].Data["ejected"]));
    }

    [Fact]
    public void A_pool_may_be_asked_for_in_another_cluster_than_the_settings_name()
    {
        var pools = _services.Value.GetRequiredService<PoolCache>();
        var there = _services.Value.GetRequiredService<ClusterCatalog>().Get("dc2");

        Assert.NotSame(pools.OfService("svc"), pools.OfService("svc", there));
        Assert.Same(pools.OfService("svc", there), pools.OfService("svc", there));
        Assert.Equal((null, "dc2"), (pools.OfService("svc").Options.Cluster, pools.OfService("svc", there).Options.Cluster));
    }

    public async ValueTask DisposeAsync()
    {
        await _services.Value.DisposeAsync();
        _files.Delete(recursive: true);
        _log.Dispose();
    }

    private static void Put(ModelEtcd etcd, string address)
        => etcd.Put($"services/svc/{address}", Encoding.UTF8.GetBytes($$"""{"Addr":"{{address}}"}"""));
}
