using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Diagnostics.Tracing;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration.Health;
using Discovery.Etcd;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Registers when the application has started, for only then are the bound ports known, and deregisters while the server still accepts
/// calls: the host stops the server only after all <see cref="StoppingAsync"/> have returned.
/// </summary>
internal sealed partial class RegistrationService(
    Cluster cluster,
    Lazy<EtcdClient> client,
    IOptions<EtcdClientOptions> clientOptions,
    RegistrationSettings settings,
    RegistrationPlanner planner,
    LayoutCatalog layouts,
    HealthMonitor health,
    TimeProvider time,
    ILogger<IServiceRegistration> logger,
    DiscoveryMetrics metrics,
    OwnRegistrations all,
    IHostApplicationLifetime? lifetime = null) : IHostedLifecycleService, IServiceRegistration, IAsyncDisposable, IDisposable
{
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
        if (_stop.IsCancellationRequested)
        {
            // Stopped while it started: a registration that came after the stop would stay.
            _reconciled.TrySetResult();
            return;
        }

        if (!options.FailFast)
        {
            // Neither a slow name server nor a slow health check nor an etcd that is away delays the start.
            _starting = Task.Run(RegisterInBackgroundAsync, CancellationToken.None);
            return;
        }

        // The stop waits for it, so the stop must end it too: the host's own token is cancelled only after all have drained.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
        var starting = RegisterAsync(either.Token);
        _starting = starting;
        try
        {
            await starting.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested || lifetime?.ApplicationStopping.IsCancellationRequested == true)
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

    /// <summary>For a container that is not disposed asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

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
        catch (ObjectDisposedException)
        {
            // The application was disposed without a stop, as when another service's start failed.
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
        _isWithoutEtcd = !options.Enabled && clientOptions.Value.Endpoints.Count == 0;
        if (!options.Enabled)
        {
            Log.SwitchedOff(logger);
        }

        if (_isWithoutEtcd)
        {
            // There is no etcd that it could be switched on with while the application runs.
            return;
        }

        using var activity = DiscoveryActivities.StartRoot(DiscoveryActivities.Register, service: null, cluster.Name);
        activity?.SetTag("discovery.instance", _instanceId);
        var first = new FirstRegistration(options, cluster, client, clientOptions.Value.RequestTimeout, time, logger);
        var desired = await first.PlanAsync(planner, cancellationToken).ConfigureAwait(false);
        _overrides.IsUnhealthy = !await first.CheckHealthAsync(health, cancellationToken).ConfigureAwait(false);
        var registrar = new Registrar(client.Value, desired, layouts, _instanceId!, _overrides, time, logger, all, cluster.Name, OnRegisteredAgain);
        _registrar = registrar;

        // Once more, for a stop that did not see the registrar is over.
        _stop.Token.ThrowIfCancellationRequested();
        var updater = _updater = new RegistrationUpdater(registrar, client, settings, planner, health, _overrides, time, logger, _stop.Token);
        _reload = settings.OnChange(() => _ = updater.ReloadAsync());
        await registrar.ReconcileAsync().ConfigureAwait(false);
        _reconciled.TrySetResult();
        _background = Detached.Run(updater.RunAsync);
        if (options.Enabled)
        {
            await first.WaitForEtcdAsync(registrar, activity, cancellationToken).ConfigureAwait(false);
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

        [LoggerMessage(2708, LogLevel.Information, "This application is withdrawn: it is out of service until RestoreAsync.")]
        public static partial void Withdrawn(ILogger logger);
    }
}
