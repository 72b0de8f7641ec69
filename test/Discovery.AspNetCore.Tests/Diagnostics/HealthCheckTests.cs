using System.Text;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.AspNetCore.Tests.Diagnostics;

public sealed class HealthCheckTests : IAsyncLifetime
{
    /// <summary>For which clients of etcd wait for an answer.</summary>
    private static readonly TimeSpan LongTime = TimeSpan.FromMinutes(1);

    private EmbeddedEtcdServer _etcd = null!;
    private EtcdClient _client = null!;

    public async Task InitializeAsync()
    {
        _etcd = await EmbeddedEtcdServer.StartAsync();
        _client = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint], RequestTimeout = LongTime });
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task An_etcd_that_answers_is_healthy_and_says_its_version()
    {
        await using var services = Services(static h => h.AddEtcd(timeout: TimeSpan.FromSeconds(30)));

        var entry = await CheckAsync(services, "etcd");

        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.NotEqual("", entry.Data["version"]);
        Assert.Contains(_etcd.Endpoint, Assert.Single((string[])entry.Data["endpoints"]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_etcd_that_is_away_is_degraded_and_its_endpoints_are_named()
    {
        await using var services = Services(static h => h.AddEtcd(timeout: TimeSpan.FromMilliseconds(300)));
        _etcd.Pause();

        var entry = await DegradedAsync(services);

        Assert.Contains(_etcd.Endpoint, entry.Description, StringComparison.Ordinal);
        _etcd.Resume();
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd")).Status == HealthStatus.Healthy);
    }

    /// <summary>A probe of Kubernetes has a second for all checks, and the log has what is handed into a result at each run.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_etcd_that_is_away_does_not_hold_up_a_probe(bool isSilent)
    {
        await using var services = Services(static h => h.AddEtcd());

        // The first one compiles what it runs, which may take longer on a busy machine.
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd")).Status == HealthStatus.Healthy);
        if (isSilent)
        {
            _etcd.Pause();
        }
        else
        {
            await _etcd.DisposeAsync();
        }

        var entry = await DegradedAsync(services);

        Assert.Null(entry.Exception);
        Assert.Contains("There was no answer within 0.7 s", entry.Description, StringComparison.Ordinal);

        // A busy machine may take its time, but who waits for what the client says waits for a minute.
        Assert.InRange(entry.Duration, TimeSpan.Zero, LongTime / 2);
    }

    [Fact]
    public async Task An_etcd_that_refuses_connections_is_degraded_at_once_and_the_check_says_why()
    {
        // The clock stands still, so that for the check its last answer is never long ago: only that etcd refuses can make it degraded. On a busy
        // machine that may be found out later than within the time of one check.
        await using var services = Services(static h => At(h, new FakeTimeProvider()).AddEtcd());
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd")).Status == HealthStatus.Healthy);
        await _etcd.DisposeAsync();

        var entry = await DegradedAsync(services);

        Assert.Contains("onnection refused", entry.Description, StringComparison.Ordinal);
    }

    /// <summary>A start runs all checks at once while nothing is compiled yet, and the application is registered meanwhile.</summary>
    [Fact]
    public async Task An_etcd_that_answers_other_calls_while_the_check_runs_is_healthy()
    {
        // Where the clock stands still the other call was just now, however long the machine takes for the check.
        await using var services = Services(static h => At(h, new FakeTimeProvider()).AddEtcd(timeout: TimeSpan.FromMilliseconds(1)));
        await services.GetRequiredService<EtcdClient>().PutAsync("a", Encoding.UTF8.GetBytes("1"));
        _etcd.Pause();

        var entry = await CheckAsync(services, "etcd");

        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.StartsWith("etcd answered another call ", entry.Description, StringComparison.Ordinal);
        Assert.Contains("within 0.001 s", entry.Description, StringComparison.Ordinal);
        _etcd.Resume();
    }

    [Fact]
    public async Task An_etcd_whose_first_connection_is_being_made_is_healthy_for_a_moment_and_not_for_long()
    {
        var clock = new FakeTimeProvider();
        await using var services = Services(h => At(h, clock).AddEtcd(timeout: TimeSpan.FromMilliseconds(1)));
        _etcd.Pause();

        var first = await CheckAsync(services, "etcd");

        Assert.Equal(HealthStatus.Healthy, first.Status);
        Assert.StartsWith("The first connection to etcd is still being made.", first.Description, StringComparison.Ordinal);
        clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(services, "etcd")).Status);
        _etcd.Resume();
    }

    [Fact]
    public async Task A_named_cluster_has_a_check_of_its_own()
    {
        await using var services = Services(h =>
        {
            h.Services.AddKeyedEtcdClient("dc2", o => o.Endpoints = ["http://127.0.0.1:1"]);
            h.AddEtcd(timeout: TimeSpan.FromSeconds(30)).AddKeyedEtcd("dc2", failureStatus: HealthStatus.Unhealthy);
        });

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(services, "etcd")).Status);
        var entry = await CheckAsync(services, "etcd-dc2");
        Assert.Equal((HealthStatus.Unhealthy, "dc2"), (entry.Status, entry.Data["cluster"]));
        Assert.StartsWith("The cluster dc2", entry.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_with_too_few_instances_is_degraded_and_says_what_there_is()
    {
        await using var services = Services(static h => h.AddEtcdDiscovery("greeter", minimum: 2));
        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:5001"}""", "a");
        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:5002","Metadata":{"draining":true}}""", "b");
        await PutAsync("nothing", "c");

        var entry = await CheckAsync(services, "etcd-discovery-greeter");

        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.Equal(
            "Service 'greeter' has 1 usable instances at 'services/greeter/', and at least 2 are expected (draining: 1, records that are no instances: 1).",
            entry.Description);
        Assert.Equal((1, 2, 1, 1), (entry.Data["usable"], entry.Data["minimum"], entry.Data["draining"], entry.Data["skippedRecords"]));

        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:5003"}""", "d");
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd-discovery-greeter")).Status == HealthStatus.Healthy);
    }

    [Fact]
    public async Task Instances_that_clients_ejected_do_not_count()
    {
        await using var services = Services(static h =>
        {
            h.AddEtcdDiscovery("greeter", minimum: 2);
            h.Services.AddHttpClient("greeter").AddEtcdDiscovery(configure: static o => o.Ejection.ConsecutiveFailures = 1);
        });
        await using var server = await BackendServer.StartAsync();
        await PutAsync($$"""{"Op":0,"Addr":"{{server.Address}}"}""", "a");
        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:1"}""", "b");
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(services, "etcd-discovery-greeter")).Status);
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");

        await Eventually.IsTrue(async () =>
        {
            await client.GetStringAsync(new Uri("/", UriKind.Relative));
            return (await CheckAsync(services, "etcd-discovery-greeter")) is { Status: HealthStatus.Degraded } entry && entry.Data["ejected"] is 1;
        });
    }

    [Fact]
    public async Task Instances_that_the_settings_leave_out_do_not_count()
    {
        await using var services = Services(static h =>
        {
            h.Services.AddEtcdDiscovery(static o => (o.Select.Version, o.AllowLoopback) = ("v2", true));
            h.AddEtcdDiscovery("greeter");
        });
        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:5001","Metadata":{"version":"v1"}}""", "a");

        var entry = await CheckAsync(services, "etcd-discovery-greeter");

        Assert.Equal((HealthStatus.Degraded, 0, 1), (entry.Status, entry.Data["usable"], entry.Data["leftOut"]));
        Assert.Contains("left out by Select", entry.Description, StringComparison.Ordinal);
        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:5002","Metadata":{"version":"v2"}}""", "b");
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd-discovery-greeter")).Status == HealthStatus.Healthy);
    }

    [Fact]
    public async Task An_outage_leaves_a_service_healthy_and_a_service_never_seen_is_not()
    {
        await using var services = Services(static h =>
        {
            h.Services.AddEtcdDiscovery(static o => o.ReadyTimeout = TimeSpan.FromMilliseconds(200));
            h.AddEtcdDiscovery("greeter").AddEtcdDiscovery("other", failureStatus: HealthStatus.Unhealthy);
        });
        await PutAsync("""{"Op":0,"Addr":"127.0.0.1:5001"}""", "a");
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd-discovery-greeter")).Status == HealthStatus.Healthy);
        _etcd.Pause();
        _etcd.DropConnections();
        await Eventually.IsTrue(async () => (await CheckAsync(services, "etcd-discovery-greeter")).Data["connected"] is false);
        await using var later = Services(static h =>
        {
            h.Services.AddEtcdDiscovery(static o => o.ReadyTimeout = TimeSpan.FromMilliseconds(200));
            h.AddEtcdDiscovery("other", failureStatus: HealthStatus.Unhealthy);
        });

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(services, "etcd-discovery-greeter")).Status);
        var unseen = await CheckAsync(later, "etcd-discovery-other");
        Assert.Equal(HealthStatus.Unhealthy, unseen.Status);
        Assert.Contains(_etcd.Endpoint, unseen.Description, StringComparison.Ordinal);
        Assert.Equal(("services/other/", 1, false), (unseen.Data["prefix"], unseen.Data["minimum"], unseen.Data["connected"]));
        _etcd.Resume();
    }

    [Fact]
    public async Task The_check_of_a_service_in_another_cluster_names_the_cluster()
    {
        await using var services = Services(h =>
        {
            h.Services.AddKeyedEtcdClient("dc2", o => o.Endpoints = [_etcd.Endpoint]);
            h.Services.AddEtcdDiscovery(static o => o.Cluster = "dc2");
            h.AddEtcdDiscovery("greeter");
        });

        Assert.Equal("dc2", (await CheckAsync(services, "etcd-discovery-greeter")).Data["cluster"]);
    }

    [Fact]
    public void Wrong_arguments_are_refused_when_the_check_is_added()
    {
        var checks = new ServiceCollection().AddHealthChecks();

        Assert.Throws<ArgumentException>(() => checks.AddEtcdDiscovery("a/b"));
        Assert.Throws<ArgumentOutOfRangeException>(() => checks.AddEtcdDiscovery("greeter", minimum: 0));
    }

    /// <summary>Has the clients of etcd go by a clock of the test's own.</summary>
    private static IHealthChecksBuilder At(IHealthChecksBuilder checks, FakeTimeProvider clock)
    {
        checks.Services.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, clock);
        return checks;
    }

    private static async Task<HealthReportEntry> DegradedAsync(IServiceProvider services)
    {
        HealthReportEntry entry = default;
        await Eventually.IsTrue(async () => (entry = await CheckAsync(services, "etcd")).Status == HealthStatus.Degraded);
        return entry;
    }

    private static async Task<HealthReportEntry> CheckAsync(IServiceProvider services, string name)
    {
        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(r => r.Name == name);
        return report.Entries[name];
    }

    private ServiceProvider Services(Action<IHealthChecksBuilder> add)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddEtcdClient(o => (o.Endpoints, o.RequestTimeout) = ([_etcd.Endpoint], LongTime));
        add(services.AddHealthChecks());
        return services.BuildServiceProvider();
    }

    private Task<long> PutAsync(string record, string id) => _client.PutAsync($"services/greeter/{id}", Encoding.UTF8.GetBytes(record));
}
