using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>etcd is away: at the start, in the middle, at the stop.</summary>
public sealed class OutageTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(Extent.Of("DISCOVERY_OUTAGE_SECONDS", 6));

    private readonly string _service = NewService();
    private EtcdProcess _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EtcdProcess.StartAsync();

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    [Fact]
    public async Task With_fail_fast_the_start_fails_and_says_why()
    {
        await _etcd.KillAsync();
        await using var app = TestApp.Build(_etcd.Endpoint, _service, "FailFast=true;/Etcd:RequestTimeout=00:00:01");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());

        foreach (var part in (string[])["Etcd:Registration:FailFast", "Etcd:RequestTimeout", _etcd.Endpoint])
        {
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task With_fail_fast_an_application_that_is_not_in_service_yet_needs_etcd_too()
    {
        await _etcd.KillAsync();
        await using var app = TestApp.Build(_etcd.Endpoint, _service, "FailFast=true;/Etcd:RequestTimeout=00:00:01");
        await app.Registration.WithdrawAsync();

        await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());
    }

    [Fact]
    public async Task Without_fail_fast_neither_etcd_nor_a_health_check_that_hangs_delays_the_start()
    {
        await _etcd.KillAsync();
        await using var app = TestApp.Build(_etcd.Endpoint, _service, "/Etcd:RequestTimeout=00:01:00;Health:Timeout=00:01:00", static builder =>
            builder.Services.AddHealthChecks().AddAsyncCheck(
                "hangs",
                static async cancellationToken =>
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
                    return HealthCheckResult.Healthy();
                },
                ["ready"]));

        await app.StartAsync().WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(ServiceRegistrationState.Registering, app.State);
        await app.StopAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
    }

    [Fact]
    public async Task An_outage_is_one_line_down_and_one_line_up_with_its_length()
    {
        // It also watches a service, whose first list and watch meet the outage on their own.
        await using var app = await TestApp.StartAsync(
            _etcd.Endpoint, _service, "TimeToLive=00:00:02;AllowLoopback=true", static builder => builder.Services.AddEtcdDiscovery());
        var directory = app.Services.GetRequiredService<IServiceDirectory>();
        await directory.WaitForReadyAsync(_service);
        var before = app.Log.Lines.Count;
        await _etcd.KillAsync();
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Information, "lease of this application's keys is lost"));
        await Eventually.IsTrue(() => directory.GetStatus(_service).LastError is not null);
        var since = Stopwatch.StartNew();
        await Eventually.IsTrue(() => since.Elapsed >= Outage, Outage * 2);
        var during = Said().Count;
        await _etcd.RestartAsync();
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => directory.GetStatus(_service).IsConnected);
        await Eventually.IsTrue(() => Said().Exists(IsUp));

        var lines = Said();
        output.WriteLine($"log lines of a server that registers and watches, in an outage of {since.Elapsed.TotalSeconds:0} s: "
            + $"{during} while it lasts, {lines.Count - during} after it\n{string.Join('\n', lines)}");
        Assert.Single(lines, static line => line.StartsWith("Warning", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, static line => line.StartsWith("Error", StringComparison.Ordinal));
        Assert.Single(lines, IsUp);

        // With its length.
        static bool IsUp(string line) => line.Contains("again", StringComparison.Ordinal) && line.Contains(", after ", StringComparison.Ordinal);

        List<string> Said() => [.. app.Log.Lines.Skip(before).Where(static line =>
            !line.StartsWith("Debug", StringComparison.Ordinal) && !line.StartsWith("Trace", StringComparison.Ordinal))];
    }

    [Fact]
    public async Task An_outage_that_is_there_from_the_start_is_one_line_down_and_one_line_up_too()
    {
        await _etcd.KillAsync();
        await using var app = TestApp.Build(
            _etcd.Endpoint, _service, "AllowLoopback=true;/Etcd:RequestTimeout=00:00:02", static builder => builder.Services.AddEtcdDiscovery());
        await app.StartAsync();
        var directory = app.Services.GetRequiredService<IServiceDirectory>();
        var ready = directory.WaitForReadyAsync(_service).AsTask();
        var since = Stopwatch.StartNew();
        await app.SettleAsync();
        await Eventually.IsTrue(() => directory.GetStatus(_service).LastError is not null);
        await Eventually.IsTrue(() => since.Elapsed >= Outage, Outage * 2);
        var during = Lines().Count;
        await _etcd.RestartAsync();
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => directory.GetStatus(_service).IsConnected);
        await ready.ContinueWith(static _ => { }, TaskScheduler.Default);
        await Eventually.IsTrue(() => Lines().Exists(IsUp));

        output.WriteLine($"log lines of a server that registers and watches, started without etcd for {since.Elapsed.TotalSeconds:0} s: "
            + $"{during} while it lasts, {Lines().Count - during} after it\n{string.Join('\n', Lines())}");
        Assert.Single(Lines(), static line => line.StartsWith("Warning", StringComparison.Ordinal));
        Assert.DoesNotContain(Lines(), static line => line.StartsWith("Error", StringComparison.Ordinal));
        Assert.Single(Lines(), IsUp);

        static bool IsUp(string line) => line.Contains("again", StringComparison.Ordinal) && line.Contains(", after ", StringComparison.Ordinal);

        List<string> Lines() => [.. app.Log.Lines.Where(static line =>
            !line.StartsWith("Debug", StringComparison.Ordinal) && !line.StartsWith("Trace", StringComparison.Ordinal))];
    }

    [Fact]
    public async Task A_start_that_is_cancelled_ends_at_once()
    {
        await _etcd.KillAsync();
        await using var app = TestApp.Build(_etcd.Endpoint, _service, "FailFast=true;/Etcd:RequestTimeout=00:01:00");
        using var cancel = new CancellationTokenSource();
        var start = app.StartAsync(cancel.Token);
        await app.ReachAsync(ServiceRegistrationState.Registering);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task An_application_that_is_told_to_stop_during_its_start_does_not_fail_but_stops()
    {
        await _etcd.KillAsync();
        await using var app = TestApp.Build(_etcd.Endpoint, _service, "FailFast=true;StopTimeout=00:00:00.5;/Etcd:RequestTimeout=00:01:00");
        var start = app.StartAsync();
        await app.ReachAsync(ServiceRegistrationState.Registering);

        // As SIGTERM does.
        app.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        await start.WaitAsync(TimeSpan.FromSeconds(10));
        await app.StopAsync();

        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
        Assert.False(app.Log.Has(LogLevel.Information, "left etcd"));
    }

    [Fact]
    public async Task An_application_stops_within_its_limit_while_etcd_is_down()
    {
        await using var app = await TestApp.StartAsync(
            _etcd.Endpoint,
            _service,
            "StopTimeout=00:00:00.5;DrainDelay=00:00:02;LeaveDelay=00:00:02",
            b => b.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(10)));
        await _etcd.KillAsync();

        var since = Stopwatch.GetTimestamp();
        await app.StopAsync();
        var took = Stopwatch.GetElapsedTime(since);

        // Twice the limit of one exchange, which leaves a busy machine some time; nobody would hear of the delays, which make 4 s.
        Console.WriteLine($"stopped while etcd is down: {took.TotalSeconds:0.00} s");
        Assert.True(took < TimeSpan.FromSeconds(4), $"It took {took}.");
        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
        Assert.True(app.Log.Has(LogLevel.Warning, "Etcd:Registration:StopTimeout"));
    }

    [Fact]
    public async Task An_application_that_could_leave_but_not_drain_still_serves_on_for_those_who_have_not_heard()
    {
        await using var app = await TestApp.StartAsync(_etcd.Endpoint, _service, "TimeToLive=00:01:00;StopTimeout=00:00:06;LeaveDelay=00:00:03");
        await _etcd.Member.PauseAsync();
        var stop = app.StopAsync();
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "Etcd:Registration:StopTimeout", "drains"));

        var since = Stopwatch.GetTimestamp();
        await _etcd.Member.ResumeAsync();
        await stop;

        Assert.True(app.Log.Has(LogLevel.Information, "left etcd"), string.Join('\n', app.Log.Lines));
        Assert.True(Stopwatch.GetElapsedTime(since) >= TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task What_was_wanted_while_etcd_was_down_holds_when_it_is_back_and_a_caller_may_stop_waiting()
    {
        await using var app = await TestApp.StartAsync(_etcd.Endpoint, _service, "StopTimeout=00:00:00.2;TimeToLive=00:00:30");
        await _etcd.KillAsync();
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => app.Registration.WithdrawAsync(impatient.Token));
        Assert.Equal(ServiceRegistrationState.Withdrawn, app.State);
        var waiting = app.Registration.WithdrawAsync();
        await _etcd.RestartAsync();
        await waiting.WaitAsync(TimeSpan.FromSeconds(20));

        await using var client = Clients.Connect(_etcd.Endpoint);
        Assert.Empty(await client.RecordsAsync(_service));
        await app.Registration.RestoreAsync();
        Assert.Single(await client.RecordsAsync(_service));
    }

    [Fact]
    public async Task A_withdrawal_in_an_outage_that_outlasts_the_stop_timeout_says_that_it_drains_before_it_goes()
    {
        await using var app = await TestApp.StartAsync(_etcd.Endpoint, _service, "StopTimeout=00:00:00.2;TimeToLive=00:01:00");
        await _etcd.KillAsync();

        var withdrawal = app.Registration.WithdrawAsync();
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "Etcd:Registration:StopTimeout", "drains"));
        await _etcd.RestartAsync();
        await withdrawal.WaitAsync(TimeSpan.FromSeconds(20));

        await using var client = Clients.Connect(_etcd.Endpoint);
        await using var watch = client.Watch($"services/{_service}/", 1);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Events.Any(e => e.Deleted));
        Assert.Equal(["put", "draining", "delete"], log.Story().Select(e => e.What));
    }

    [Fact]
    public async Task A_withdrawal_that_waits_for_etcd_does_not_hold_up_the_stop()
    {
        await using var app = await TestApp.StartAsync(
            _etcd.Endpoint, _service, "StopTimeout=00:00:04", b => b.Services.Configure<HostOptions>(h => h.ShutdownTimeout = TimeSpan.FromSeconds(30)));
        await _etcd.KillAsync();
        var withdrawal = app.Registration.WithdrawAsync();

        // The stop has two exchanges of its own; the withdrawal's one is not waited for.
        await app.StopAsync().WaitAsync(TimeSpan.FromSeconds(11));

        await withdrawal.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task An_application_is_back_after_etcd_lost_everything()
    {
        await using var app = await TestApp.StartAsync(_etcd.Endpoint, _service);
        await _etcd.KillAsync();
        _etcd.Member.Wipe();
        await _etcd.RestartAsync();

        await using var client = Clients.Connect(_etcd.Endpoint);
        await Eventually.IsTrue(async () => (await client.RecordsAsync(_service)).Count == 1);
        await app.ReachAsync(ServiceRegistrationState.Registered);
    }
}
