using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>What changes while an application runs, by its settings, by code or by its health.</summary>
public sealed class ChangeTests(OneNode node) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Fact]
    public async Task An_edit_of_the_settings_file_changes_the_record_without_a_gap()
    {
        var file = Path.Combine(Path.GetTempPath(), _service + ".json");
        await WriteAsync("""{ "Etcd": { "Registration": { "Weight": 5, "Tags": [ "a" ] } } }""");
        try
        {
            await using var client = node.Connect();
            await using var watch = client.Watch($"services/{_service}/", 1);
            var log = WatchLog.Follow(watch);
            await using var app = await TestApp.StartAsync(
                node.Etcd.Endpoint, _service, configure: b => b.Configuration.AddJsonFile(file, optional: false, reloadOnChange: true));
            Assert.Equal(5, await WeightAsync(client));

            await WriteAsync(
                """{ "Etcd": { "Registration": { "Weight": 6, "Zone": "eu-1", "Version": "2", "Tags": [ "b" ], "Metadata": { "team": "x" } } } }""");
            await Eventually.IsTrue(async () => await WeightAsync(client) == 6);
            Assert.EndsWith(
                """ "weight":6,"zone":"eu-1","version":"2","tags":["b"],"protocols":"h1","team":"x"}""".TrimStart(),
                Assert.Single(await client.RecordsAsync(_service)).Metadata().GetRawText(),
                StringComparison.Ordinal);

            await WriteAsync("""{ "Etcd": { "Registration": { "Weight": -1 } } }""");
            await Eventually.IsTrue(() => app.Log.Has(LogLevel.Error, "not used", "Etcd:Registration:Weight is '-1'"));
            await WriteAsync("""{ "Etcd": { "Registration": """);
            await WriteAsync("""{ "Etcd": { "Registration": { "Weight": 7 } } }""");
            await Eventually.IsTrue(async () => await WeightAsync(client) == 7);

            Assert.DoesNotContain(log.Events, e => e.Deleted);
            Assert.Single(log.Events.Select(e => e.Record.LeaseId).Distinct());
        }
        finally
        {
            File.Delete(file);
        }

        async Task WriteAsync(string text)
        {
            // As editors do: a whole new file in place of the old one.
            await File.WriteAllTextAsync(file + ".new", text);
            File.Move(file + ".new", file, overwrite: true);
        }
    }

    [Fact]
    public async Task A_reload_may_change_layout_services_and_addresses_and_what_goes_says_goodbye()
    {
        await using var client = node.Connect();
        await using var watch = client.Watch($"services/{_service}/", 1);
        var log = WatchLog.Follow(watch);
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);
        var first = Assert.Single(app.Keys);

        app.Reload("AdvertisedHost=10.1.2.3;AdvertisedPort=5000;Layout=EtcdNaming,OpenIm;Services:" + _service + "b:Weight=3");
        await Eventually.IsTrue(() => app.Keys.Count == 4 && log.Events.Any(e => e.Deleted));

        Assert.Equal(
            [$"openim:///{_service}/10.1.2.3:5000", $"openim:///{_service}b/10.1.2.3:5000", $"services/{_service}/10.1.2.3:5000", $"services/{_service}b/10.1.2.3:5000"],
            app.Keys);
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Equal(3, await WeightAsync(client, _service + "b"));
        Assert.NotNull(await client.GetAsync($"openim:///{_service}b/10.1.2.3:5000"));

        // The new key stood before the old one went, and that one said so first.
        Assert.Equal(
            [("put", first), ("put", $"services/{_service}/10.1.2.3:5000"), ("draining", first), ("delete", first)], log.Story());
    }

    [Fact]
    public async Task Registration_can_be_switched_off_and_on_by_a_reload()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "Enabled=false");
        Assert.Equal(ServiceRegistrationState.Disabled, app.State);
        Assert.Empty(await client.RecordsAsync(_service));

        app.Reload("Enabled=true");
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Single(await client.RecordsAsync(_service));

        app.Reload("Enabled=false");
        await Eventually.IsTrue(async () => (await client.RecordsAsync(_service)).Count == 0);
        Assert.Equal(ServiceRegistrationState.Disabled, app.State);
    }

    [Fact]
    public async Task An_application_that_is_switched_on_while_it_is_unhealthy_stays_out_of_service()
    {
        var healthy = false;
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            "Enabled=false;Health:Interval=00:00:00.1",
            b => b.Services.AddHealthChecks().AddCheck("db", () => healthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), ["ready"]));

        app.Reload("Enabled=true");
        await app.ReachAsync(ServiceRegistrationState.Unhealthy);
        Assert.Empty(await client.RecordsAsync(_service));

        healthy = true;
        await app.ReachAsync(ServiceRegistrationState.Registered);
    }

    [Fact]
    public async Task A_reload_that_leaves_nothing_to_advertise_is_not_used()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);

        app.Reload("AllowLoopback=false;Weight=9");

        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Error, "not used", "AllowLoopback"));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
        Assert.Equal(10, await WeightAsync(client));
    }

    [Fact]
    public async Task A_weight_set_by_code_holds_whatever_the_settings_say()
    {
        await using var client = node.Connect();
        await using var app = TestApp.Build(node.Etcd.Endpoint, _service);
        await app.Registration.SetWeightAsync(20);
        await app.StartAsync();
        await app.SettleAsync();
        Assert.Equal(20, await WeightAsync(client));

        await app.Registration.SetWeightAsync(30);
        Assert.Equal(30, await WeightAsync(client));

        app.Reload("Weight=40;Zone=eu-1");
        await Eventually.IsTrue(async () => Assert.Single(await client.RecordsAsync(_service)).Metadata().TryGetProperty("zone", out _));
        Assert.Equal(30, await WeightAsync(client));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => app.Registration.SetWeightAsync(-1));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => app.Registration.SetWeightAsync(1_000_001));
    }

    [Fact]
    public async Task An_application_withdraws_with_a_goodbye_and_stays_away_until_it_is_restored()
    {
        await using var client = node.Connect();
        await using var watch = client.Watch($"services/{_service}/", 1);
        var log = WatchLog.Follow(watch);
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);

        await app.Registration.WithdrawAsync();
        Assert.Equal(ServiceRegistrationState.Withdrawn, app.State);
        Assert.Empty(await client.RecordsAsync(_service));
        await app.Registration.WithdrawAsync();
        app.Reload("Weight=6");
        await app.Registration.SetWeightAsync(7);
        Assert.Empty(await client.RecordsAsync(_service));

        await app.Registration.RestoreAsync();
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
        Assert.Equal(7, await WeightAsync(client));
        await app.StopAsync();

        await Eventually.IsTrue(() => log.Story().Count == 6);
        Assert.Equal(["put", "draining", "delete", "put", "draining", "delete"], log.Story().Select(e => e.What));

        // After the stop nothing has an effect, and nothing hangs.
        await app.Registration.RestoreAsync().WaitAsync(TimeSpan.FromSeconds(10));
        await app.Registration.SetWeightAsync(8).WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
        Assert.Empty(await client.RecordsAsync(_service));
    }

    [Fact]
    public async Task An_application_that_withdrew_before_its_start_warms_up_out_of_service()
    {
        await using var client = node.Connect();
        await using var app = TestApp.Build(node.Etcd.Endpoint, _service);
        Assert.Equal(ServiceRegistrationState.NotStarted, app.State);
        await app.Registration.WithdrawAsync();
        await app.StartAsync();
        await app.SettleAsync();

        Assert.Equal(ServiceRegistrationState.Withdrawn, app.State);
        Assert.Empty(await client.RecordsAsync(_service));

        await app.Registration.RestoreAsync();
        Assert.Single(await client.RecordsAsync(_service));
    }

    [Fact]
    public async Task An_unhealthy_application_is_out_of_service_from_its_start_and_comes_and_goes_with_its_health()
    {
        var healthy = false;
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            "Health:Interval=00:00:00.1",
            b => b.Services.AddHealthChecks()
                .AddCheck("db", () => healthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), ["ready"])
                .AddEtcdRegistrationCheck(failureStatus: HealthStatus.Unhealthy, tags: ["ready"]));
        Assert.Equal(ServiceRegistrationState.Unhealthy, app.State);
        Assert.Empty(await client.RecordsAsync(_service));
        Assert.True(app.Log.Has(LogLevel.Warning, "not healthy yet", "db"));

        healthy = true;
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Single(await client.RecordsAsync(_service));

        healthy = false;
        await app.ReachAsync(ServiceRegistrationState.Unhealthy);
        await Eventually.IsTrue(async () => (await client.RecordsAsync(_service)).Count == 0);

        // Withdrawn by hand meanwhile, it does not come back by its health alone.
        await app.Registration.WithdrawAsync();
        healthy = true;
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Information, "healthy again"));
        Assert.Empty(await client.RecordsAsync(_service));
        await app.Registration.RestoreAsync();

        // Its health is logged a moment before it counts.
        await Eventually.IsTrue(async () => (await client.RecordsAsync(_service)).Count == 1);
    }

    private async Task<int> WeightAsync(EtcdClient client, string? service = null)
        => Assert.Single(await client.RecordsAsync(service ?? _service)).Metadata() is var metadata
            && metadata.TryGetProperty("weight", out var weight) ? weight.GetInt32() : ServiceInstance.DefaultWeight;
}
