using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>A reload gives an application other keys while etcd is away, refuses them, or the application stops.</summary>
public sealed class ReplacementTests : IAsyncLifetime
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(0.2);

    private readonly string _service = NewService();
    private EtcdProcess _etcd = null!;

    private string OldKey => $"services/{_service}/10.1.2.3:1";

    private string NewKey => $"services/{_service}/10.1.2.3:2";

    public async Task InitializeAsync() => _etcd = await EtcdProcess.StartAsync();

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    [Fact]
    public async Task While_etcd_is_down_a_key_is_replaced_as_soon_as_it_is_back_and_not_before()
    {
        await using var app = await StartAsync();
        await _etcd.KillAsync();
        await ReplaceAsync(app);

        // Far longer than an exchange with etcd may take at a stop: a replacement has no such limit.
        await Task.Delay(StopTimeout * 5);
        Assert.Equal(ServiceRegistrationState.Registering, app.State);
        await _etcd.RestartAsync();
        await using var client = Clients.Connect(_etcd.Endpoint);
        await using var watch = client.Watch($"services/{_service}/", 1);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Events.Any(e => e.Deleted));

        Assert.Equal([("put", OldKey), ("put", NewKey), ("draining", OldKey), ("delete", OldKey)], log.Story());
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Information, $"Registered in etcd: {NewKey} "));
    }

    [Fact]
    public async Task A_key_that_etcd_refuses_replaces_nothing()
    {
        await using var app = await StartAsync();
        await using var client = Clients.Connect(_etcd.Endpoint);

        app.Reload($"AdvertisedHost=10.1.2.3;AdvertisedPort=2;Metadata:big={new string('x', 2_000_000)}");
        await Eventually.IsTrue(() => app.Registration.Status.LastError is not null);
        await Task.Delay(StopTimeout * 5);

        Assert.Equal(OldKey, Assert.Single(await client.RecordsAsync(_service)).Key);
        Assert.False(IsDraining((await client.GetAsync(OldKey))!));
        Assert.Equal(ServiceRegistrationState.Registering, app.State);

        app.Reload("AdvertisedHost=10.1.2.3;AdvertisedPort=1;Metadata:big=");
        await Eventually.IsTrue(async () => (await client.GetAsync(OldKey))!.Metadata().TryGetProperty("big", out _));
    }

    [Fact]
    public async Task A_withdrawal_in_the_middle_of_a_replacement_takes_both_keys_away()
    {
        await using var app = await StartAsync();
        await _etcd.Member.PauseAsync();
        await ReplaceAsync(app);
        var withdrawal = app.Registration.WithdrawAsync();

        await _etcd.Member.ResumeAsync();
        await withdrawal;

        await using var client = Clients.Connect(_etcd.Endpoint);
        Assert.Empty(await client.RecordsAsync(_service));
        await app.Registration.RestoreAsync();
        Assert.Equal(NewKey, Assert.Single(await client.RecordsAsync(_service)).Key);
    }

    [Fact]
    public async Task A_stop_in_the_middle_of_a_replacement_says_goodbye_for_the_old_key_too()
    {
        await using var app = await StartAsync(TimeSpan.FromSeconds(10));
        await _etcd.Member.PauseAsync();
        await ReplaceAsync(app);
        var stop = app.StopAsync();
        await app.ReachAsync(ServiceRegistrationState.Draining);

        await _etcd.Member.ResumeAsync();
        await stop;

        await using var client = Clients.Connect(_etcd.Endpoint);
        await using var watch = client.Watch($"services/{_service}/", 1);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Events.Any(e => e.Deleted && e.Record.Key == OldKey));
        Assert.Equal([("put", OldKey), ("draining", OldKey), ("delete", OldKey)], log.Story().Where(e => e.Key == OldKey));
        Assert.Empty(await client.RecordsAsync(_service));
        Assert.False(app.Log.Has(LogLevel.Warning, "Etcd:Registration:StopTimeout"));
    }

    [Fact]
    public async Task A_stop_in_the_middle_of_a_replacement_while_etcd_is_down_warns_of_its_own_two_exchanges_only()
    {
        await using var app = await StartAsync();
        await _etcd.KillAsync();
        await ReplaceAsync(app);

        var since = Stopwatch.GetTimestamp();
        await app.StopAsync();

        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(4));
        Assert.Equal(2, app.Log.At(LogLevel.Warning).Count(line => line.Contains("Etcd:Registration:StopTimeout", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_stop_that_the_host_cuts_short_says_that_and_blames_no_other_limit()
    {
        await using var app = await StartAsync(TimeSpan.FromSeconds(10));
        await _etcd.KillAsync();
        using var impatient = new CancellationTokenSource();
        var stop = app.StopAsync(impatient.Token);
        await app.ReachAsync(ServiceRegistrationState.Draining);

        await impatient.CancelAsync();
        await Record.ExceptionAsync(() => stop.WaitAsync(TimeSpan.FromSeconds(10)));

        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
        Assert.True(app.Log.Has(LogLevel.Warning, "cut short", "HostOptions.ShutdownTimeout"));
        Assert.False(app.Log.Has(LogLevel.Warning, "Etcd:Registration:StopTimeout"));
    }

    [Fact]
    public async Task Disposed_after_a_stop_that_was_cut_short_while_etcd_was_down_it_does_not_wait_for_etcd_once_more()
    {
        await using var app = await StartAsync(TimeSpan.FromSeconds(10));
        await _etcd.KillAsync();
        await CutShortAsync(app);

        var since = Stopwatch.GetTimestamp();
        await app.DisposeAsync();

        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(4));
        Assert.False(app.Log.Has(LogLevel.Warning, "Etcd:Registration:StopTimeout"));
    }

    [Fact]
    public async Task Disposed_after_a_stop_that_was_cut_short_while_etcd_refused_a_key_it_takes_the_others_away()
    {
        await using var app = await StartAsync(TimeSpan.FromSeconds(10));
        await using var client = Clients.Connect(_etcd.Endpoint);
        app.Reload($"AdvertisedHost=10.1.2.3;AdvertisedPort=2;Metadata:big={new string('x', 2_000_000)}");
        await CutShortAsync(app);
        Assert.NotEmpty(await client.RecordsAsync(_service));

        await app.DisposeAsync();

        Assert.Empty(await client.RecordsAsync(_service));
    }

    /// <summary>Stops it, for no longer than it takes until it knows what etcd is like.</summary>
    private static async Task CutShortAsync(TestApp app)
    {
        using var impatient = new CancellationTokenSource();
        var stop = app.StopAsync(impatient.Token);
        await app.ReachAsync(ServiceRegistrationState.Draining);
        await Eventually.IsTrue(() => app.Registration.Status.LastError is not null);
        await impatient.CancelAsync();
        await Record.ExceptionAsync(() => stop.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.True(app.Log.Has(LogLevel.Warning, "cut short"));
    }

    private Task<TestApp> StartAsync(TimeSpan? stopTimeout = null) => TestApp.StartAsync(
        _etcd.Endpoint, _service, $"AdvertisedHost=10.1.2.3;AdvertisedPort=1;TimeToLive=00:01:00;StopTimeout={stopTimeout ?? StopTimeout}");

    private async Task ReplaceAsync(TestApp app)
    {
        app.Reload("AdvertisedHost=10.1.2.3;AdvertisedPort=2");
        await Eventually.IsTrue(() => app.Keys.SequenceEqual([NewKey]));
    }
}
