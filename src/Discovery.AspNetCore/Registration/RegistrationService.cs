using System.Diagnostics;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Diagnostics.Tracing;
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
    [FromKeyedServices] Cluster cluster,
    [FromKeyedServices] Lazy<EtcdClient> client,
    [FromKeyedServices] IOptions<EtcdClientOptions> clientOptions,
    [FromKeyedServices] RegistrationSettings settings,
    [FromKeyedServices] RegistrationPlanner planner,
    LayoutCatalog layouts,
    [FromKeyedServices] HealthMonitor health,
    [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time,
    [FromKeyedServices] ILogger<IServiceRegistration> logger,
    DiscoveryMetrics metrics,
    IHostApplicationLifetime? lifetime = null) : IHostedLifecycleService, IServiceRegistration, IAsyncDisposable
{
    private static readonly TimeSpan AnswerGrace = TimeSpan.FromSeconds(1);

    private readonly RegistrationOverrides _overrides = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _reconciled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile string? _instanceId;
    private volatile Registrar? _registrar;
    private IDisposable? _reload;
    private RegistrationUpdater? _updater;
    private Task _starting = Task.CompletedTask;
    private Task _background = Task.CompletedTask;
    private volatile bool _isWithoutEtcd;
    private volatile bool _isStopping;
    private int _disposed;

    /// <summary>Is raised when <see cref="IsInService"/> may have changed, before etcd is told. Handlers must not throw, nor wait.</summary>
    public event Action? ServiceChanged;

    /// <summary>Whether the application means to be called: it is neither withdrawn nor stopping. What etcd has, and health, are no part of it.</summary>
    public bool IsInService
        => !_isStopping && !_overrides.IsWithdrawn && (_overrides.IsWithdrawnSet || !settings.Current.StartWithdrawn);

    public ServiceRegistrationStatus Status => (_registrar?.Status ?? new ServiceRegistrationStatus
    {
        State = _isWithoutEtcd ? ServiceRegistrationState.Disabled
            : _stop.IsCancellationRequested ? ServiceRegistrationState.Stopped
            : _instanceId is null ? ServiceRegistrationState.NotStarted
            : ServiceRegistrationState.Registering,
        InstanceId = _instanceId ?? "",
    }) with { Cluster = cluster.Name };

    public Task SetWeightAsync(int weight, CancellationToken cancellationToken = default)
    {
        if (weight is < 0 or > ServiceInstance.MaxWeight)
        {
            throw new ArgumentOutOfRangeException(nameof(weight), weight, $"A weight is from 0 to {ServiceInstance.MaxWeight}.");
        }

        _overrides.Weight = weight;
        return ApplyAsync(cancellationToken);
    }

    public Task ResetWeightAsync(CancellationToken cancellationToken = default)
    {
        _overrides.Weight = null;
        return ApplyAsync(cancellationToken);
    }

    public Task WithdrawAsync(CancellationToken cancellationToken = default)
    {
        if (!_overrides.IsWithdrawn)
        {
            Log.Withdrawn(logger);
        }

        _overrides.IsWithdrawn = true;
        ServiceChanged?.Invoke();
        return ApplyAsync(cancellationToken);
    }

    public Task RestoreAsync(CancellationToken cancellationToken = default)
    {
        _overrides.IsWithdrawn = false;
        ServiceChanged?.Invoke();
        return ApplyAsync(cancellationToken);
    }

    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        metrics.Observed.AddRegistration(() => Status);
        var options = settings.Current;
        _overrides.StartWithdrawn(options.StartWithdrawn);
        if (options.StartWithdrawn && _overrides.IsWithdrawn)
        {
            Log.Withdrawn(logger);
        }

        _instanceId = InstanceIdGenerator.Get(options);
        if (!options.FailFast)
        {
            // Neither a slow name server nor a slow health check nor an etcd that is away delays the start.
            _starting = Task.Run(RegisterInBackgroundAsync, CancellationToken.None);
            return;
        }

        try
        {
            await RegisterAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (lifetime?.ApplicationStopping.IsCancellationRequested == true)
        {
            // Told to stop before it was registered: that is no failure of its start, and the host goes on to its stop.
        }
        finally
        {
            _reconciled.TrySetResult();
        }
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _isStopping = true;
        ServiceChanged?.Invoke();

        // The registrar first: its stop ends what the background may be waiting for.
        await CancelBackgroundAsync().ConfigureAwait(false);
        var registrar = _registrar;
        await (registrar?.StopAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
        await EndBackgroundAsync().ConfigureAwait(false);
        if (registrar is null && _registrar is { } late)
        {
            await late.StopAsync(cancellationToken).ConfigureAwait(false);
        }
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
        var registrar = _registrar;
        if (registrar is not null)
        {
            await registrar.DisposeAsync().ConfigureAwait(false);
        }

        await EndBackgroundAsync().ConfigureAwait(false);
        if (registrar is null && _registrar is { } late)
        {
            await late.DisposeAsync().ConfigureAwait(false);
        }

        if (_updater is not null)
        {
            await _updater.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RegisterInBackgroundAsync()
    {
        try
        {
            await RegisterAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The application stops.
        }
        catch (Exception e)
        {
            // Nobody waits for this; nothing that is expected to fail gets here.
            Log.Failed(logger, e);
        }
        finally
        {
            _reconciled.TrySetResult();
        }
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

        using var activity = DiscoveryActivities.StartRoot(DiscoveryActivities.Register, service: null, cluster.Name);
        activity?.SetTag("discovery.instance", _instanceId);
        var desired = await PlanFirstAsync(options, cancellationToken).ConfigureAwait(false);
        Announce(desired);

        // Switched off, nobody waits for the checks; should it be switched on, they have been asked by then.
        _overrides.IsUnhealthy = options.Enabled
            ? !await health.CheckFirstAsync(options.Health, cancellationToken).ConfigureAwait(false)
            : health.HasChecks(options.Health);
        cancellationToken.ThrowIfCancellationRequested();
        var registrar = new Registrar(client.Value, desired, layouts, _instanceId!, _overrides, time, logger, cluster.Name, OnRegisteredAgain);
        _registrar = registrar;
        var updater = _updater = new RegistrationUpdater(registrar, client, settings, planner, health, _overrides, time, logger, _stop.Token);
        _reload = settings.OnChange(() => _ = updater.ReloadAsync());
        await registrar.ReconcileAsync().ConfigureAwait(false);
        _reconciled.TrySetResult();
        _background = Detached.Run(updater.RunAsync);
        if (options.Enabled)
        {
            await WaitForEtcdAsync(registrar, options, activity, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<DesiredRegistration> PlanFirstAsync(EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await planner.PlanAsync(options, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // A sandbox may not tell the machine's addresses; another look comes soon.
            return new DesiredRegistration(options, [], new RegistrationProblem(
                ServiceRegistrationState.NoAddress,
                LogLevel.Error,
                $"This machine's addresses could not be read. {e.Message} Set Etcd:Registration:AdvertisedHost to the address or name by which "
                    + "others reach it, e.g. 10.0.0.1."));
        }
    }

    private async Task ApplyAsync(CancellationToken cancellationToken)
    {
        if (_instanceId is null)
        {
            return;
        }

        await _reconciled.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        await (_registrar?.ApplyAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
    }

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
                throw new InvalidOperationException($"{problem.Message} Etcd:Registration:FailFast is true.");
            }

            problem.Report(logger);
        }
    }

    private async Task AskAsync(CancellationToken cancellationToken)
    {
        try
        {
            await client.Value.GetStatusAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.PermissionDenied)
        {
            // Where etcd has users, it keeps its status to the role root. It is there, and who asks is one of them.
        }
    }

    private async Task WaitForEtcdAsync(Registrar registrar, EtcdRegistrationOptions options, Activity? activity, CancellationToken cancellationToken)
    {
        // A moment longer than an attempt takes, for it says at its end what is wrong.
        var timeout = clientOptions.Value.RequestTimeout;
        using var limit = new CancellationTokenSource(timeout + AnswerGrace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await (options.FailFast ? FlushOrFailAsync(registrar, either.Token) : registrar.FlushAsync(either.Token)).ConfigureAwait(false);
            if (options.FailFast && registrar.Status.Keys.Count == 0)
            {
                // An application that is not in service yet has no keys; then etcd itself is asked whether it is there.
                await AskAsync(either.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is EtcdException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var cause = registrar.LastError ?? (e is EtcdException ? e.Message : "etcd did not answer.");
            activity.SetFailed("not_registered", cause);
            if (options.FailFast)
            {
                var within = registrar.Refused.IsCompleted ? "" : $" within {timeout.TotalSeconds:0.###} s ({cluster.Section}:RequestTimeout)";
                throw new InvalidOperationException($"This application could not be registered{within}, and Etcd:Registration:FailFast is true. {cause}", e);
            }

            // The client has warned already, of an outage as of a refusal.
            Log.KeepsTrying(logger, string.Join(", ", client.Value.Endpoints), cause);
        }
    }

    /// <summary>Waits until etcd has the desired state, but not for what no waiting changes.</summary>
    private static async Task FlushOrFailAsync(Registrar registrar, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var flush = registrar.FlushAsync(end.Token);
        if (await Task.WhenAny(flush, registrar.Refused).ConfigureAwait(false) != flush)
        {
            await end.CancelAsync().ConfigureAwait(false);
            await flush.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw await registrar.Refused.ConfigureAwait(false);
        }

        await flush.ConfigureAwait(false);
    }

    private void OnRegisteredAgain(TimeSpan after)
    {
        metrics.OnRegisteredAgain(cluster.Name);
        using var activity = DiscoveryActivities.StartRoot(
            DiscoveryActivities.Register, service: null, cluster.Name, startTime: time.GetUtcNow() - after);
        activity?.SetTag("discovery.instance", _instanceId);
        activity?.SetTag("discovery.registration.again", true);
    }

    private async Task EndBackgroundAsync()
    {
        await _starting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _reload?.Dispose();
        await _background.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

        [LoggerMessage(2703, LogLevel.Error, "This application is not registered, for its registration failed.")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(2704, LogLevel.Information, "This application could not be registered in etcd at {Endpoints} yet; it serves, and keeps "
            + "trying. {Cause}")]
        public static partial void KeepsTrying(ILogger logger, string endpoints, string cause);

        [LoggerMessage(2708, LogLevel.Information, "This application is withdrawn: it is out of service until RestoreAsync.")]
        public static partial void Withdrawn(ILogger logger);
    }
}
