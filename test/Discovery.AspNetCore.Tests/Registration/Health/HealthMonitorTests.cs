using Discovery.AspNetCore.Registration.Health;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration.Health;

public sealed class HealthMonitorTests : IAsyncDisposable
{
    private readonly ObservedTimeProvider _time = new();
    private readonly LogRecorder _log = new();
    private readonly List<bool> _changes = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly ServiceCollection _services = new();
    private readonly RegistrationHealthOptions _options = new() { UnhealthyThreshold = 2, HealthyThreshold = 2 };
    private Func<Task<HealthCheckResult>> _check = () => Task.FromResult(HealthCheckResult.Healthy());
    private bool _failsToApply;
    private int _runs;
    private int _looks;
    private ServiceProvider? _provider;
    private Task _running = Task.CompletedTask;

    public HealthMonitorTests() => _services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(_log));

    [Fact]
    public async Task An_application_that_fails_its_checks_is_taken_out_and_comes_back()
    {
        AddCheck("db", "ready");
        Assert.True(await StartAsync());

        _check = () => Task.FromResult(HealthCheckResult.Unhealthy());
        await TickAsync();
        Assert.Empty(_changes);
        await TickAsync();
        Assert.Equal([false], _changes);
        Assert.True(_log.Has(LogLevel.Warning, "out of service", "db"));

        _check = () => Task.FromResult(HealthCheckResult.Degraded());
        await TickAsync();
        await TickAsync();
        Assert.Equal([false, true], _changes);
    }

    [Fact]
    public async Task A_change_that_cannot_be_applied_is_said_and_tried_again_after_the_next_run()
    {
        AddCheck("db", "ready");
        Assert.True(await StartAsync());
        _check = () => Task.FromResult(HealthCheckResult.Unhealthy());
        _failsToApply = true;
        await TickAsync();
        await TickAsync();
        Assert.True(_log.Has(LogLevel.Error, "could not follow the application's health"));

        _failsToApply = false;
        await TickAsync();
        await TickAsync();
        Assert.Equal([false, false], _changes);
    }

    [Fact]
    public async Task A_minimum_of_instances_that_is_lifted_lets_go_of_what_it_kept()
    {
        _options.MinimumInstances = 2;
        AddCheck("db", "ready");
        Assert.True(await StartAsync());
        _check = () => Task.FromResult(HealthCheckResult.Unhealthy());
        await TickAsync();
        await TickAsync();
        await TickAsync();
        Assert.Equal([false, false], _changes);

        _options.MinimumInstances = 0;
        await TickAsync();
        await TickAsync();

        Assert.Equal([false, false, false], _changes);
    }

    [Fact]
    public async Task An_application_that_is_not_healthy_yet_is_asked_every_second_and_one_good_run_suffices()
    {
        AddCheck("warm", "ready");
        _check = () => Task.FromResult(HealthCheckResult.Unhealthy());
        Assert.False(await StartAsync());
        Assert.True(_log.Has(LogLevel.Warning, "not healthy yet", "warm"));

        await TickAsync(TimeSpan.FromSeconds(1));
        _check = () => Task.FromResult(HealthCheckResult.Healthy());
        await TickAsync(TimeSpan.FromSeconds(1));
        Assert.Equal([true], _changes);
    }

    [Fact]
    public async Task Only_checks_with_the_tag_decide_and_the_registrations_own_check_never_does()
    {
        AddCheck("metrics", "live");
        _services.AddHealthChecks().AddEtcdRegistrationCheck(failureStatus: HealthStatus.Unhealthy, tags: ["ready"]);
        _check = () => Task.FromResult(HealthCheckResult.Unhealthy());
        Assert.True(await StartAsync());
        Assert.Equal(0, _runs);

        _options.Tag = "";
        await TickAsync();
        await TickAsync();
        Assert.Equal([false], _changes);

        _options.Enabled = false;
        await TickAsync();
        await TickAsync();
        Assert.Equal([false, true], _changes);
    }

    [Fact]
    public async Task A_check_that_throws_counts_as_failed()
    {
        AddCheck("db", "ready");
        Assert.True(await StartAsync());

        _check = () => throw new InvalidOperationException("no database");
        await TickAsync();
        await TickAsync();

        Assert.Equal([false], _changes);
    }

    [Fact]
    public async Task A_check_that_cannot_be_created_counts_as_failed_and_ends_nothing()
    {
        var broken = true;
        _services.AddHealthChecks().Add(new HealthCheckRegistration(
            "db", _ => broken ? throw new InvalidOperationException("no service") : new Check(this), HealthStatus.Unhealthy, ["ready"]));
        Assert.False(await StartAsync());
        Assert.True(_log.Has(LogLevel.Error, "could not be run"));

        broken = false;
        await TickAsync(TimeSpan.FromSeconds(1));
        Assert.Equal([true], _changes);
    }

    [Fact]
    public async Task A_check_that_hangs_counts_as_failed_after_its_limit_even_if_it_ignores_its_token()
    {
        AddCheck("db", "ready");
        Assert.True(await StartAsync());

        _options.UnhealthyThreshold = 1;
        _check = () => new TaskCompletionSource<HealthCheckResult>().Task;
        _time.Advance(_options.Interval);
        await Eventually.IsTrue(() => _runs == 2 && _time.ArmedTimers > 0);
        _time.Advance(_options.Timeout);
        await Eventually.IsTrue(() => _changes.Count == 1);

        Assert.Equal([false], _changes);
        Assert.True(_log.Has(LogLevel.Warning, "Etcd:Registration:Health:Timeout"));
    }

    [Fact]
    public async Task While_a_check_hangs_no_other_run_is_started_and_it_comes_back_when_that_ends()
    {
        AddCheck("db", "ready");
        Assert.True(await StartAsync());

        var hung = new TaskCompletionSource<HealthCheckResult>();
        _options.UnhealthyThreshold = 3;
        _check = () => hung.Task;
        for (var i = 1; i <= 3; i++)
        {
            await Eventually.IsTrue(() => _looks % 2 == 1 && _time.ArmedTimers == 1);
            var looks = _looks;
            _time.Advance(_options.Interval);
            await Eventually.IsTrue(() => _looks == looks + 1 && _runs >= 2 && _time.ArmedTimers == 1);

            // A run that ought not to be started would be by then.
            await Task.Delay(TimeSpan.FromMilliseconds(50));
            _time.Advance(_options.Timeout);
            await Eventually.IsTrue(() => _looks == looks + 2 && _time.ArmedTimers == 1);
        }

        Assert.Equal([false], _changes);
        Assert.Equal(2, _runs);

        hung.SetResult(HealthCheckResult.Healthy());
        _check = () => Task.FromResult(HealthCheckResult.Healthy());
        await TickAsync();
        await TickAsync();
        Assert.Equal([false, true], _changes);
    }

    [Fact]
    public async Task A_check_that_always_takes_longer_than_its_limit_counts_as_failed_each_time()
    {
        AddCheck("db", "ready");
        Assert.True(await StartAsync());

        var slow = new TaskCompletionSource<HealthCheckResult>();
        _check = () => slow.Task;
        await TickUntilLimitAsync();

        // The next look comes while the run of the last one lasts.
        await StartLookAsync(runs: 2);
        var late = slow;
        slow = new TaskCompletionSource<HealthCheckResult>();
        late.SetResult(HealthCheckResult.Healthy());
        await Eventually.IsTrue(() => _runs == 3);
        _time.Advance(_options.Timeout);
        await Eventually.IsTrue(() => _changes.Count == 1);

        Assert.Equal([false], _changes);
        slow.SetResult(HealthCheckResult.Healthy());
    }

    [Fact]
    public async Task A_check_whose_creation_is_cancelled_ends_nothing_either()
    {
        var broken = true;
        _services.AddHealthChecks().Add(new HealthCheckRegistration(
            "db", _ => broken ? throw new OperationCanceledException() : new Check(this), HealthStatus.Unhealthy, ["ready"]));
        Assert.False(await StartAsync());

        broken = false;
        await TickAsync(TimeSpan.FromSeconds(1));
        Assert.Equal([true], _changes);
    }

    [Fact]
    public async Task A_tag_that_somebody_chose_and_no_check_has_is_warned_of_once()
    {
        AddCheck("db", "live");
        _options.Tag = "raedy";
        Assert.True(await StartAsync());
        await TickAsync();
        Assert.Contains("Etcd:Registration:Health:Tag is 'raedy'", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);

        _options.Tag = "live";
        await TickAsync();
        Assert.Equal(1, _runs);
        Assert.Single(_log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData("ready")]
    [InlineData("")]
    public async Task Without_health_checks_an_application_is_healthy(string tag)
    {
        _options.Tag = tag;
        Assert.True(await StartAsync());
        await _running;
        Assert.Empty(_log.At(LogLevel.Warning));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await (_provider?.DisposeAsync() ?? ValueTask.CompletedTask);
        _stop.Dispose();
    }

    private void AddCheck(string name, string tag)
        => _services.AddHealthChecks().Add(new HealthCheckRegistration(name, _ => new Check(this), HealthStatus.Unhealthy, [tag]));

    private async Task<bool> StartAsync()
    {
        _provider = _services.BuildServiceProvider();
        var monitor = new HealthMonitor(_provider, _time, _provider.GetRequiredService<ILogger<IServiceRegistration>>());
        var healthy = await monitor.CheckFirstAsync(_options, default);
        _running = monitor.RunAsync(
            () =>
            {
                Interlocked.Increment(ref _looks);
                return _options;
            },
            change =>
            {
                _changes.Add(change);
                return _failsToApply ? throw new InvalidOperationException("no record") : Task.CompletedTask;
            },
            _stop.Token);
        return healthy;
    }

    /// <summary>Lets one run pass, and waits until the gate sleeps again: it looks at the settings before it asks and before it sleeps.</summary>
    private async Task TickAsync(TimeSpan? interval = null)
    {
        await Eventually.IsTrue(() => _looks % 2 == 1 && _time.ArmedTimers == 1);
        var looks = _looks;
        _time.Advance(interval ?? _options.Interval);
        await Eventually.IsTrue(() => _looks == looks + 2 && _time.ArmedTimers == 1);
    }

    private async Task TickUntilLimitAsync()
    {
        var looks = await StartLookAsync(runs: 2);
        _time.Advance(_options.Timeout);
        await Eventually.IsTrue(() => _looks == looks + 2 && _time.ArmedTimers == 1);
    }

    /// <summary>Lets the gate ask, and waits until it waits for the answer.</summary>
    private async Task<int> StartLookAsync(int runs)
    {
        await Eventually.IsTrue(() => _looks % 2 == 1 && _time.ArmedTimers == 1);
        var looks = _looks;
        _time.Advance(_options.Interval);
        await Eventually.IsTrue(() => _looks == looks + 1 && _runs == runs && _time.ArmedTimers == 1);
        return looks;
    }

    private sealed class Check(HealthMonitorTests test) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            Interlocked.Increment(ref test._runs);
            return test._check();
        }
    }
}
