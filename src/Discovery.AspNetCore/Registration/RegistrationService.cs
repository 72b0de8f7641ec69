using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration.Health;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Registers when the application has started, for only then are the bound ports known, and deregisters while the server still accepts
/// calls: the host stops the server only after all <see cref="StoppingAsync"/> have returned.
/// </summary>
internal sealed partial class RegistrationService(
    Lazy<EtcdClient> client,
    IOptions<EtcdClientOptions> clientOptions,
    RegistrationSettings settings,
    RegistrationPlanner planner,
    LayoutCatalog layouts,
    HealthMonitor health,
    [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time,
    ILogger<IServiceRegistration> logger,
    IHostApplicationLifetime? lifetime = null) : IHostedLifecycleService, IServiceRegistration, IAsyncDisposable
{
    private const int MaxWeight = 1_000_000;

    private static readonly TimeSpan AnswerGrace = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(2);

    private readonly RegistrationOverrides _overrides = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _reloading = new(1, 1);

    private volatile Registrar? _registrar;
    private IDisposable? _reload;
    private Task _background = Task.CompletedTask;
    private volatile bool _isWithoutEtcd;
    private int _disposed;

    public ServiceRegistrationStatus Status
        => _registrar?.Status ?? new ServiceRegistrationStatus
        {
            State = _isWithoutEtcd ? ServiceRegistrationState.Disabled : ServiceRegistrationState.NotStarted,
            InstanceId = "",
        };

    public Task SetWeightAsync(int weight, CancellationToken cancellationToken = default)
    {
        if (weight is < 1 or > MaxWeight)
        {
            throw new ArgumentOutOfRangeException(nameof(weight), weight, $"A weight is from 1 to {MaxWeight}.");
        }

        _overrides.Weight = weight;
        return ApplyAsync(cancellationToken);
    }

    public Task WithdrawAsync(CancellationToken cancellationToken = default)
    {
        _overrides.IsWithdrawn = true;
        return ApplyAsync(cancellationToken);
    }

    public Task RestoreAsync(CancellationToken cancellationToken = default)
    {
        _overrides.IsWithdrawn = false;
        return ApplyAsync(cancellationToken);
    }

    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await RegisterAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (lifetime?.ApplicationStopping.IsCancellationRequested == true)
        {
            // Told to stop before it was registered: that is no failure of its start, and the host goes on to its stop.
        }
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        // The registrar first: its stop ends what the background may be waiting for.
        await CancelBackgroundAsync().ConfigureAwait(false);
        if (_registrar is { } registrar)
        {
            await registrar.StopAsync(cancellationToken).ConfigureAwait(false);
        }

        await _background.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        // The container knows the service by several names and disposes it by each.
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await CancelBackgroundAsync().ConfigureAwait(false);
        if (_registrar is { } registrar)
        {
            await registrar.DisposeAsync().ConfigureAwait(false);
        }

        await _background.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RegisterAsync(CancellationToken cancellationToken)
    {
        var options = settings.Current;
        if (!options.Enabled && clientOptions.Value.Endpoints.Count == 0)
        {
            // There is no etcd that it could be switched on with while the application runs.
            _isWithoutEtcd = true;
            Log.SwitchedOff(logger);
            return;
        }

        var desired = await planner.PlanAsync(options, cancellationToken).ConfigureAwait(false);
        Announce(desired);

        // Switched off, nobody waits for the checks; should it be switched on, they have been asked by then.
        _overrides.IsUnhealthy = options.Enabled
            ? !await health.CheckFirstAsync(options.Health, cancellationToken).ConfigureAwait(false)
            : health.HasChecks(options.Health);
        var registrar = new Registrar(client.Value, desired, layouts, InstanceIdGenerator.Get(options), _overrides, time, logger);
        _registrar = registrar;
        _reload = settings.OnChange(() => _ = ReloadAsync(registrar));
        await registrar.ReconcileAsync().ConfigureAwait(false);
        if (options.Enabled)
        {
            await WaitForEtcdAsync(registrar, options, cancellationToken).ConfigureAwait(false);
        }

        _background = Task.WhenAll(FollowUpAsync(registrar), WatchHealthAsync(registrar), WatchAddressesAsync(registrar));
    }

    private Task ApplyAsync(CancellationToken cancellationToken)
        => _registrar?.ApplyAsync(cancellationToken) ?? Task.CompletedTask;

    private void Announce(DesiredRegistration desired)
    {
        if (!desired.Options.Enabled)
        {
            Log.SwitchedOff(logger);
        }
        else if (desired.Problem is { } problem)
        {
            if (desired.Options.FailFast)
            {
                throw problem;
            }

            Log.NothingToAdvertise(logger, problem.Message);
        }
        else if (desired.Endpoints.Count == 0)
        {
            Log.NoAddresses(logger);
        }
    }

    private async Task WaitForEtcdAsync(Registrar registrar, EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        // A moment longer than an attempt takes, for it says at its end what is wrong.
        var timeout = clientOptions.Value.RequestTimeout;
        using var limit = new CancellationTokenSource(timeout + AnswerGrace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await registrar.FlushAsync(either.Token).ConfigureAwait(false);
            if (options.FailFast && registrar.Status.Keys.Count == 0)
            {
                // An application that is not in service yet has no keys; then etcd itself is asked whether it is there.
                await client.Value.GetStatusAsync(either.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is EtcdException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var cause = registrar.Status.LastError ?? (e is EtcdException ? e : new TimeoutException("etcd did not answer."));
            if (options.FailFast)
            {
                throw new InvalidOperationException(
                    $"This application could not be registered within {timeout.TotalSeconds:0.###} s (Etcd:RequestTimeout), and "
                    + $"Etcd:Registration:FailFast is true. {cause.Message}",
                    cause);
            }

            Log.KeepsTrying(logger, string.Join(", ", client.Value.Endpoints), cause.Message);
        }
    }

    private async Task FollowUpAsync(Registrar registrar)
    {
        // Generated ids are random; only one that somebody chose can be chosen twice.
        if (string.IsNullOrEmpty(registrar.Options.InstanceId))
        {
            return;
        }

        try
        {
            await registrar.FlushAsync(_stop.Token).ConfigureAwait(false);
            await DuplicateIdCheck.RunAsync(client.Value, registrar, time, _stop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            Log.CheckMissed(logger, e);
        }
    }

    private Task WatchHealthAsync(Registrar registrar)
        => health.RunAsync(
            () => registrar.Options.Health,
            healthy =>
            {
                _overrides.IsUnhealthy = !healthy;
                return registrar.ReconcileAsync();
            },
            _stop.Token);

    /// <summary>Neither the server nor the system says when addresses change; a look costs next to nothing.</summary>
    private async Task WatchAddressesAsync(Registrar registrar)
    {
        while (true)
        {
            await Task.Delay(LookInterval, time, _stop.Token).ConfigureAwait(false);
            await ReloadAsync(registrar, onlyIfMoved: true).ConfigureAwait(false);
        }
    }

    private async Task ReloadAsync(Registrar registrar, bool onlyIfMoved = false)
    {
        try
        {
            // One at a time, and each with what is newest then: files are often reported twice.
            await _reloading.WaitAsync(_stop.Token).ConfigureAwait(false);
            try
            {
                if (onlyIfMoved && !planner.IsOutdated)
                {
                    return;
                }

                var desired = await planner.PlanAsync(settings.Current, _stop.Token).ConfigureAwait(false);
                if (desired.Problem is { } problem)
                {
                    if (!onlyIfMoved || !planner.IsProvisional)
                    {
                        Log.ReloadNotUsed(logger, problem.Message);
                    }

                    return;
                }

                await registrar.ReconcileAsync(desired).ConfigureAwait(false);
            }
            finally
            {
                _reloading.Release();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The application stops.
        }
        catch (Exception e)
        {
            // Nobody waits for this: what goes wrong, as when the system does not tell its addresses, has to be said here.
            if (onlyIfMoved)
            {
                Log.LookFailed(logger, LookInterval, e.Message);
            }
            else
            {
                Log.ReloadNotUsed(logger, e.Message);
            }
        }
    }

    private Task CancelBackgroundAsync()
    {
        _reload?.Dispose();
        return _stop.CancelAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(2701, LogLevel.Information, "Registration is switched off (Etcd:Registration:Enabled is false).")]
        public static partial void SwitchedOff(ILogger logger);

        [LoggerMessage(2702, LogLevel.Error, "This application is not registered: {Problem}")]
        public static partial void NothingToAdvertise(ILogger logger, string problem);

        [LoggerMessage(2703, LogLevel.Warning, "This application is not registered: its server has no network addresses. Set "
            + "Etcd:Registration:AdvertisedUrls to register it all the same, e.g. http://10.0.0.1:5000.")]
        public static partial void NoAddresses(ILogger logger);

        [LoggerMessage(2704, LogLevel.Error, "This application could not be registered in etcd at {Endpoints} yet; it serves, and keeps "
            + "trying. {Cause}")]
        public static partial void KeepsTrying(ILogger logger, string endpoints, string cause);

        [LoggerMessage(2705, LogLevel.Debug, "The check for another process with the same instance id ended early.")]
        public static partial void CheckMissed(ILogger logger, Exception exception);

        [LoggerMessage(2706, LogLevel.Error, "The changed registration settings are not used: {Problem}")]
        public static partial void ReloadNotUsed(ILogger logger, string problem);

        [LoggerMessage(2707, LogLevel.Warning, "Where this application can be reached could not be looked at; the next look is in {Pause}. {Problem}")]
        public static partial void LookFailed(ILogger logger, TimeSpan pause, string problem);
    }
}
