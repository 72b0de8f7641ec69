using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Registration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Discovery;

/// <summary>One application that is registered in two clusters, and calls itself by way of each.</summary>
public sealed class TwoClustersTests : IAsyncLifetime
{
    private readonly string _service = NewService();
    private EtcdProcess _here = null!;
    private EtcdProcess _there = null!;

    public async Task InitializeAsync() => (_here, _there) = (await EtcdProcess.StartAsync(), await EtcdProcess.StartAsync());

    public async Task DisposeAsync()
    {
        await _here.DisposeAsync();
        await _there.DisposeAsync();
    }

    [Fact]
    public async Task One_dies_and_comes_back_while_the_other_knows_nothing_of_it()
    {
        await using var app = TestApp.Build(_here.Endpoint, _service, "TimeToLive=00:00:05", builder =>
        {
            builder.Configuration.AddInMemoryCollection(
            [
                new("Etcd:Clusters:dc2:Endpoints", _there.Endpoint),
                new("Etcd:Clusters:dc2:Registration:Zone", "b"),
            ]);
            builder.Services.AddKeyedEtcdRegistration("dc2");
            builder.Services.AddHttpClient("here").AddEtcdDiscovery(_service);
            builder.Services.AddHttpClient("there").AddEtcdDiscovery(_service, o => o.Cluster = "dc2");
        });
        await app.StartAsync();
        var there = app.Services.GetRequiredKeyedService<IServiceRegistration>("dc2");
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => there.Status.State == ServiceRegistrationState.Registered);
        var lease = app.Registration.Status.LeaseId;
        await using var hereEtcd = Clients.Connect(_here.Endpoint);
        await using var thereEtcd = Clients.Connect(_there.Endpoint);
        Assert.DoesNotContain("\"zone\"", Assert.Single(await hereEtcd.RecordsAsync(_service)).Metadata().GetRawText(), StringComparison.Ordinal);
        Assert.Contains("\"zone\":\"b\"", Assert.Single(await thereEtcd.RecordsAsync(_service)).Metadata().GetRawText(), StringComparison.Ordinal);
        Assert.Equal((null, "dc2"), (app.Registration.Status.Cluster, there.Status.Cluster));
        await CallAsync(app, "here");
        await CallAsync(app, "there");

        await _there.KillAsync();
        await Eventually.IsTrue(() => there.Status.State == ServiceRegistrationState.Registering);
        await CallAsync(app, "here");
        await CallAsync(app, "there");
        Assert.True((ServiceRegistrationState.Registered, lease) == (app.State, app.Registration.Status.LeaseId), string.Join('\n', app.Log.Lines));
        Assert.Single(await hereEtcd.RecordsAsync(_service));

        await _there.RestartAsync();
        await Eventually.IsTrue(() => there.Status.State == ServiceRegistrationState.Registered);
        await CallAsync(app, "there");

        await app.StopAsync();
        Assert.Empty(await hereEtcd.RecordsAsync(_service));
        Assert.Empty(await thereEtcd.RecordsAsync(_service));
    }

    [Fact]
    public async Task At_the_stop_one_that_is_away_does_not_keep_the_keys_in_the_other()
    {
        await using var app = TestApp.Build(_here.Endpoint, _service, "StopTimeout=00:00:05", builder =>
        {
            builder.Configuration.AddInMemoryCollection([new("Etcd:Clusters:dc2:Endpoints", _there.Endpoint)]);
            builder.Services.AddKeyedEtcdRegistration("dc2");
        });
        await app.StartAsync();
        var there = app.Services.GetRequiredKeyedService<IServiceRegistration>("dc2");
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => there.Status.State == ServiceRegistrationState.Registered);
        await _there.KillAsync();

        var stop = app.StopAsync();

        await app.ReachAsync(ServiceRegistrationState.Stopped);
        Assert.False(stop.IsCompleted);
        await using var hereEtcd = Clients.Connect(_here.Endpoint);
        Assert.Empty(await hereEtcd.RecordsAsync(_service));
        await stop;
    }

    private static async Task CallAsync(TestApp app, string client)
        => Assert.Equal("ok", await app.Services.GetRequiredService<IHttpClientFactory>().CreateClient(client).GetStringAsync("/"));
}
