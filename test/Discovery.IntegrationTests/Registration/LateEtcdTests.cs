using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>etcd comes up long after the application. A class of its own, for it waits beside the others.</summary>
public sealed class LateEtcdTests : IAsyncLifetime
{
    private readonly string _service = NewService();
    private EtcdProcess _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EtcdProcess.StartAsync();

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    [Fact]
    public async Task An_application_that_started_without_etcd_serves_and_is_registered_within_two_seconds_of_its_return()
    {
        await _etcd.KillAsync();
        await using var app = await TestApp.StartAsync(
            _etcd.Endpoint, _service, "/Etcd:RequestTimeout=00:00:01", b => b.Services.AddHealthChecks().AddEtcdRegistrationCheck());
        Assert.True(app.Log.Has(LogLevel.Information, _etcd.Endpoint, "keeps trying"));
        Assert.Equal(ServiceRegistrationState.Registering, app.State);
        var health = await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.Contains(_etcd.Endpoint, health.Entries["etcd-registration"].Description, StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.Equal("ok", await http.GetStringAsync(app.Url));

        await Task.Delay(TimeSpan.FromSeconds(20));
        await _etcd.RestartAsync();
        var since = Stopwatch.GetTimestamp();
        await app.ReachAsync(ServiceRegistrationState.Registered);
        var took = Stopwatch.GetElapsedTime(since);

        Console.WriteLine($"etcd away for 20 s from the start: registered {took.TotalSeconds:0.00} s after its return");
        Assert.True(took < TimeSpan.FromSeconds(2), $"It took {took}.");
        await using var client = Clients.Connect(_etcd.Endpoint);
        Assert.Single(await client.RecordsAsync(_service));
        health = await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Healthy, health.Status);
    }
}
