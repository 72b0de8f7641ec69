using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>Two clusters of the settings that are one etcd: the application registers itself in it twice, under one key.</summary>
public sealed class SameClusterTests(OneNode node) : IClassFixture<OneNode>
{
    private const string Said = "Etcd:Clusters:dc2:Endpoints is the cluster of Etcd:Endpoints, and this application registers itself in both under the same keys.";

    private readonly string _service = NewService();

    [Theory]
    [InlineData("")]
    [InlineData("InstanceId=one")]
    [InlineData("Layout=EtcdNaming,OpenIm,GoZero")]
    [InlineData("AdvertisedUrls=https://shop.example;Layout=OpenIm")]
    public async Task The_key_stands_once_which_is_said_once_and_nothing_is_wrong(string settings)
    {
        await using var client = node.Connect();
        await using var app = await StartAsync(settings);
        var there = await ReachBothAsync(app);

        Assert.Equal(app.Keys.Count, (await AllAsync(client)).Count);
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, Said));
        Assert.Single(app.Log.At(LogLevel.Warning), static l => l.Contains(Said, StringComparison.Ordinal));
        Assert.Empty(app.Log.At(LogLevel.Error));
        Assert.DoesNotContain(app.Log.Lines, static l => l.Contains("nother process", StringComparison.Ordinal) || l.Contains("replica", StringComparison.Ordinal));
        Assert.Equal((null, null), (app.Registration.Status.LastError, there.Status.LastError));
        var report = await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Healthy, report.Status);
    }

    [Theory]
    [InlineData("")]
    [InlineData("InstanceId=one")]
    public async Task It_stands_for_as_long_as_one_of_them_is_in_service(string settings)
    {
        await using var client = node.Connect();
        await using var app = await StartAsync(settings);
        var there = await ReachBothAsync(app);
        foreach (var (first, second) in new[] { (app.Registration, there), (there, app.Registration) })
        {
            await first.WithdrawAsync();
            await Eventually.IsTrue(async () => await client.RecordsAsync(_service) is [var only] && only.LeaseId == second.Status.LeaseId && !IsDraining(only));
            await Eventually.IsTrue(
                () => (first.Status.State, second.Status.State) == (ServiceRegistrationState.Withdrawn, ServiceRegistrationState.Registered));

            await second.WithdrawAsync();
            Assert.Empty(await client.RecordsAsync(_service));

            await first.RestoreAsync();
            await second.RestoreAsync();
            await ReachBothAsync(app);
            Assert.Single(await client.RecordsAsync(_service));
        }

        Assert.Empty(app.Log.At(LogLevel.Error));
        Assert.Single(app.Log.At(LogLevel.Warning), static l => l.Contains(Said, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_stop_drains_and_deletes_it_and_neither_puts_it_again()
    {
        await using var client = node.Connect();
        await using var app = await StartAsync("DrainDelay=00:00:00.5;LeaveDelay=00:00:00.1");
        await ReachBothAsync(app);
        var log = await FollowAsync(client);

        await app.StopAsync();

        Assert.Empty(await client.RecordsAsync(_service));
        await Eventually.IsTrue(() => log.Story() is [.., ("delete", _)]);
        Assert.Equal(["draining", "delete"], log.Story().Select(static e => e.What));
    }

    [Fact]
    public async Task One_id_in_both_is_no_other_process_though_the_keys_differ()
    {
        const string Settings = "InstanceId=one;TimeToLive=00:00:05;AdvertisedHost=10.1.2.3;AdvertisedPort=";
        await using var other = await TestApp.StartAsync(node.Etcd.Endpoint, _service, Settings + "5002");
        await using var client = node.Connect();
        await using var app = await StartAsync(Settings + "5000;/Etcd:Clusters:dc2:Registration:AdvertisedPort=5001");
        await ReachBothAsync(app);
        Assert.Equal(3, (await client.RecordsAsync(_service)).Count);

        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Error, "is that of another process too", "5002"));

        Assert.DoesNotContain(app.Log.At(LogLevel.Error), static l => l.Contains("5000", StringComparison.Ordinal) || l.Contains("5001", StringComparison.Ordinal));
        Assert.DoesNotContain(app.Log.At(LogLevel.Warning), static l => l.Contains(Said, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_key_that_another_process_took_is_no_error_of_a_registration_that_is_withdrawn()
    {
        const string Address = "AdvertisedHost=10.1.2.3;AdvertisedPort=5000";
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, Address);
        await using var other = await TestApp.StartAsync(node.Etcd.Endpoint, _service, Address);
        await Eventually.IsTrue(() => app.Registration.Status.LastError?.Contains("owned by another process", StringComparison.Ordinal) == true);

        await app.Registration.WithdrawAsync();

        Assert.Equal((ServiceRegistrationState.Withdrawn, null), (app.State, app.Registration.Status.LastError));
    }

    private async Task<WatchLog> FollowAsync(EtcdClient client)
        => WatchLog.Follow(client.Watch($"services/{_service}/", (await client.ListAsync($"services/{_service}/")).Revision + 1));

    private static async Task<IServiceRegistration> ReachBothAsync(TestApp app)
    {
        var there = app.Services.GetRequiredKeyedService<IServiceRegistration>("dc2");
        await Eventually.IsTrue(
            () => (app.State, there.Status.State) == (ServiceRegistrationState.Registered, ServiceRegistrationState.Registered),
            what: $"both are registered: {app.Registration.Status} {there.Status}");
        return there;
    }

    private Task<TestApp> StartAsync(string settings) => TestApp.StartAsync(node.Etcd.Endpoint, _service, settings, builder =>
    {
        builder.Configuration.AddInMemoryCollection([new("Etcd:Clusters:dc2:Endpoints", node.Etcd.Endpoint)]);
        builder.Services.AddKeyedEtcdRegistration("dc2").AddHealthChecks().AddEtcdRegistrationCheck().AddKeyedEtcdRegistrationCheck("dc2");
    });

    private async Task<IReadOnlyList<EtcdKeyValue>> AllAsync(EtcdClient client)
        => [
            .. await client.RecordsAsync(_service),
            .. (await client.ListAsync($"openim:///{_service}/")).Items,
            .. (await client.ListAsync($"{_service}/")).Items,
        ];
}
