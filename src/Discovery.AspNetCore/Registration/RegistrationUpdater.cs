using Discovery.AspNetCore.Registration.Health;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>Keeps a registration right while the application runs: follows its settings, its health and the machine's addresses.</summary>
internal sealed partial class RegistrationUpdater(
    Registrar registrar,
    Lazy<EtcdClient> client,
    RegistrationSettings settings,
    RegistrationPlanner planner,
    HealthMonitor health,
    RegistrationOverrides overrides,
    TimeProvider time,
    ILogger logger,
    CancellationToken stop) : IAsyncDisposable
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(2);

    private readonly InstanceFloor _floor = new(client, time, logger);
    private readonly SemaphoreSlim _reloading = new(1, 1);

    private volatile string? _lookProblem;
    private (EtcdRegistrationOptions Settings, string Problem)? _notUsed;

    /// <summary>Runs until the application stops.</summary>
    public Task RunAsync() => Task.WhenAll(FollowUpAsync(), WatchHealthAsync(), WatchAddressesAsync());

    /// <summary>Waits for a change that is being made. Call it once the application stops.</summary>
    public async ValueTask DisposeAsync()
    {
        await _reloading.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        _reloading.Dispose();
    }

    /// <summary>Reconciles with the settings and addresses as they are now.</summary>
    /// <param name="onlyIfMoved">Only when the addresses are not those that are advertised.</param>
    public async Task ReloadAsync(bool onlyIfMoved = false)
    {
        try
        {
            // One at a time, and each with what is newest then: files are often reported twice.
            await _reloading.WaitAsync(stop).ConfigureAwait(false);
            try
            {
                if (onlyIfMoved && !planner.IsOutdated)
                {
                    return;
                }

                var desired = await planner.PlanAsync(settings.Current, stop).ConfigureAwait(false);
                _lookProblem = null;
                if (desired.Problem is { } problem && registrar.HasEndpoints)
                {
                    // What is advertised may still be right, as when a network is away for a moment; nothing is better for sure.
                    if (!onlyIfMoved || !planner.IsProvisional)
                    {
                        ReportNotUsed(desired.Options, problem.Message);
                    }

                    return;
                }

                _notUsed = null;

                if (desired.Problem is { } other && other.Message != registrar.LastError)
                {
                    other.Report(logger);
                }

                await registrar.ReconcileAsync(desired).ConfigureAwait(false);
            }
            finally
            {
                _reloading.Release();
            }
        }
        catch (Exception e) when (e is ObjectDisposedException || stop.IsCancellationRequested)
        {
            // The application stops, or was disposed without a stop.
        }
        catch (Exception e)
        {
            // Nobody waits for this: what goes wrong, as when the system does not tell its addresses, has to be said here.
            if (!onlyIfMoved)
            {
                ReportNotUsed(settings.Current, e.Message);
            }
            else if (_lookProblem != e.Message)
            {
                _lookProblem = e.Message;
                Log.LookFailed(logger, LookInterval, e.Message);
            }
        }
    }

    /// <summary>Once for the same settings: files are reloaded for whatever changes in them.</summary>
    private void ReportNotUsed(EtcdRegistrationOptions changed, string problem)
    {
        if (_notUsed != (changed, problem))
        {
            _notUsed = (changed, problem);
            Log.ReloadNotUsed(logger, problem);
        }
    }

    private async Task FollowUpAsync()
    {
        // Generated ids are random; only one that somebody chose can be chosen twice.
        if (string.IsNullOrEmpty(registrar.Options.InstanceId))
        {
            return;
        }

        try
        {
            await registrar.FlushAsync(stop).ConfigureAwait(false);
            await DuplicateIdCheck.RunAsync(client.Value, registrar, time, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            Log.CheckMissed(logger, e);
        }
    }

    private Task WatchHealthAsync()
        => health.RunAsync(
            () => registrar.Options.Health,
            async healthy =>
            {
                var isOut = await _floor.DecideAsync(registrar, healthy, overrides.IsUnhealthy, stop).ConfigureAwait(false);
                if (isOut != overrides.IsUnhealthy)
                {
                    overrides.IsUnhealthy = isOut;
                    try
                    {
                        await registrar.ReconcileAsync().ConfigureAwait(false);
                    }
                    catch
                    {
                        // It is still as it was, and the next run of the checks tries again.
                        overrides.IsUnhealthy = !isOut;
                        throw;
                    }
                }
            },
            stop);

    /// <summary>Neither the server nor the system says when addresses change; a look costs next to nothing.</summary>
    private async Task WatchAddressesAsync()
    {
        while (true)
        {
            await Task.Delay(LookInterval, time, stop).ConfigureAwait(false);
            await ReloadAsync(onlyIfMoved: true).ConfigureAwait(false);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2705, LogLevel.Debug, "The check for another process with the same instance id ended early.")]
        public static partial void CheckMissed(ILogger logger, Exception exception);

        [LoggerMessage(2706, LogLevel.Error, "The changed registration settings are not used: {Problem}")]
        public static partial void ReloadNotUsed(ILogger logger, string problem);

        [LoggerMessage(2707, LogLevel.Warning, "Where this application can be reached could not be looked at; the next look is in {Pause}, and so on until it can. {Problem}")]
        public static partial void LookFailed(ILogger logger, TimeSpan pause, string problem);
    }
}
