using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>What an application says about its own service: out, in, more, less, not the last one, and gone at once.</summary>
public sealed class SteeringTests(OneNode node) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Fact]
    public async Task An_application_that_starts_withdrawn_is_registered_when_it_is_restored()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "StartWithdrawn=true");
        Assert.Equal(ServiceRegistrationState.Withdrawn, app.State);
        Assert.Empty(await client.RecordsAsync(_service));

        await app.Registration.RestoreAsync();

        Assert.Single(await client.RecordsAsync(_service));
        app.Reload("Weight=5");
        await Eventually.IsTrue(async () => await client.RecordsAsync(_service) is [var only] && only.Metadata().TryGetProperty("weight", out _));
    }

    [Fact]
    public async Task Out_and_in_again_is_said_in_one_line_each()
    {
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => Lines("Registered in etcd") == 1);
        int Lines(string text) => app.Log.At(LogLevel.Information).Count(l => l.Contains(text, StringComparison.Ordinal));

        await app.Registration.WithdrawAsync();
        await app.Registration.WithdrawAsync();
        Assert.Equal(1, Lines("withdrawn"));

        await app.Registration.RestoreAsync();
        await Eventually.IsTrue(() => Lines($"Registered in etcd: services/{_service}/") == 2);
        Assert.Equal(2, Lines("Registered in etcd"));
    }

    [Fact]
    public async Task Code_that_restores_before_the_start_wins_over_the_setting()
    {
        await using var app = TestApp.Build(node.Etcd.Endpoint, _service, "StartWithdrawn=true");
        await app.Registration.RestoreAsync();
        await app.StartAsync();

        await app.ReachAsync(ServiceRegistrationState.Registered);
    }

    [Fact]
    public async Task A_weight_may_be_zero_and_is_that_of_the_settings_again_after_a_reset()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "Weight=20");
        async Task<int> WeightAsync() => Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("weight").GetInt32();

        await app.Registration.SetWeightAsync(0);
        Assert.Equal(0, await WeightAsync());
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => app.Registration.SetWeightAsync(-1));

        await app.Registration.ResetWeightAsync();
        Assert.Equal(20, await WeightAsync());
    }

    [Fact]
    public async Task An_unhealthy_application_that_would_leave_too_few_others_serves_on_until_there_are_enough()
    {
        var healthy = true;
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            "Health:Interval=00:00:00.1;Health:MinimumInstances=1",
            b => b.Services.AddHealthChecks().AddCheck("db", () => healthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), ["ready"]));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);

        healthy = false;
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "serves although it is unhealthy", _service, "Etcd:Registration:Health:MinimumInstances"));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
        Assert.Single(await client.RecordsAsync(_service));

        await using (var other = await TestApp.StartAsync(node.Etcd.Endpoint, _service))
        {
            await app.ReachAsync(ServiceRegistrationState.Unhealthy);
            await Eventually.IsTrue(async () => (await client.RecordsAsync(_service)) is [var only] && only.Key == other.Keys[0]);
            await other.StopAsync();
        }

        // The last of them is gone: better an unhealthy instance than none.
        await app.ReachAsync(ServiceRegistrationState.Registered);

        healthy = true;
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Information, "healthy again"));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
    }

    [Fact]
    public async Task One_setting_spares_a_test_all_delays_of_the_stop()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, "GracefulStop=false;DrainDelay=00:01:00;LeaveDelay=00:01:00");

        var since = Stopwatch.GetTimestamp();
        await app.StopAsync();

        Assert.True(Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(20));
        Assert.Empty(await client.RecordsAsync(_service));
    }
}
