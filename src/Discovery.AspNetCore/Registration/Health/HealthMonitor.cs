using Discovery.AspNetCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Registration.Health;

/// <summary>Runs the application's health checks, and decides whether it may be called.</summary>
internal sealed partial class HealthMonitor(
    IServiceProvider services, TimeProvider time, ILogger<IServiceRegistration> logger)
{
    // An application that is about to become ready is asked more often: it waits for its first calls.
    private static readonly TimeSpan StartInterval = TimeSpan.FromSeconds(1);

    private readonly HealthThresholds _thresholds = new();
    private Task<HealthReport>? _run;
    private string? _unknownTag;

    /// <summary>Whether any health check decides.</summary>
    public bool HasChecks(RegistrationHealthOptions options)
        => options.Enabled && services.GetService<HealthCheckService>() is not null
            && services.GetRequiredService<IOptions<HealthCheckServiceOptions>>().Value.Registrations.Any(check => Decides(check, options));

    /// <summary>Runs the checks once, at start.</summary>
    /// <returns>Whether the application may be called.</returns>
    public async Task<bool> CheckFirstAsync(RegistrationHealthOptions options, CancellationToken cancellationToken)
    {
        var (succeeded, failing) = await CheckAsync(options, cancellationToken).ConfigureAwait(false);
        _thresholds.Observe(succeeded, options);
        if (!succeeded)
        {
            Log.NotYet(logger, failing);
        }

        return succeeded;
    }

    /// <summary>Runs the checks again and again, and reports each change.</summary>
    /// <param name="options">The settings as they are now.</param>
    /// <param name="onChange">
    /// Called with whether the application is healthy, again after the next run if it throws; while it is not healthy, again after each run where the number of other instances decides.
    /// </param>
    /// <param name="stop">Ends it.</param>
    public async Task RunAsync(Func<RegistrationHealthOptions> options, Func<bool, Task> onChange, CancellationToken stop)
    {
        // Which checks there are is decided before the application starts.
        if (services.GetService<HealthCheckService>() is null)
        {
            return;
        }

        var isDue = false;
        var minimum = 0;
        while (true)
        {
            var interval = options().Interval;
            var pause = _thresholds.WasHealthy || interval < StartInterval ? interval : StartInterval;
            await Task.Delay(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stop.IsCancellationRequested)
            {
                return;
            }

            try
            {
                var current = options();
                isDue |= await ObserveAsync(current, stop).ConfigureAwait(false);

                // A minimum that is lifted lets go of what it kept in service.
                isDue |= _thresholds is { IsHealthy: false, WasHealthy: true } && (current.MinimumInstances > 0 || minimum > 0);
                minimum = current.MinimumInstances;
                if (isDue)
                {
                    await onChange(_thresholds.IsHealthy).ConfigureAwait(false);
                    isDue = false;
                }
            }
            catch (Exception) when (stop.IsCancellationRequested)
            {
                // The application stops.
                return;
            }
            catch (Exception e)
            {
                // The records are written by layouts, which may be the application's own. It must not stay in or out of service for good.
                Log.NotApplied(logger, e);
            }
        }
    }

    private async Task<bool> ObserveAsync(RegistrationHealthOptions options, CancellationToken cancellationToken)
    {
        var (succeeded, failing) = await CheckAsync(options, cancellationToken).ConfigureAwait(false);
        var wasHealthy = _thresholds.WasHealthy;
        var changed = _thresholds.Observe(succeeded, options);
        if (changed && !succeeded)
        {
            Log.Withdraws(logger, failing);
        }
        else if (changed && wasHealthy)
        {
            Log.ComesBack(logger);
        }

        return changed;
    }

    private async Task<(bool Succeeded, string Failing)> CheckAsync(RegistrationHealthOptions options, CancellationToken cancellationToken)
    {
        if (!HasChecks(options))
        {
            WarnOfUnknownTag(options);
            return (true, "");
        }

        // A check that does not look at its token must not hold up the others, nor the application's stop.
        using var limit = new CancellationTokenSource(options.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            if (_run is { IsCompleted: false } late)
            {
                // No other run is started meanwhile: they would pile up for as long as a check hangs. The late result is not used.
                await ((Task)late).WaitAsync(either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                either.Token.ThrowIfCancellationRequested();
            }

            _run = services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => Decides(check, options), either.Token);
            var report = await _run.WaitAsync(either.Token).ConfigureAwait(false);
            return report.Status == HealthStatus.Unhealthy
                ? (false, string.Join(", ", report.Entries.Where(static e => e.Value.Status == HealthStatus.Unhealthy).Select(static e => e.Key)))
                : (true, "");
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return (false, $"the checks, which took longer than {options.Timeout} (Etcd:Registration:Health:Timeout)");
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // Once the application was disposed this throws too: then it is no check that failed.
            _ = services.GetService<HealthCheckService>();

            // A check that cannot even be created, for lack of a service or so. That it fails is known; this loop must not end of it.
            Log.Failed(logger, e);
            return (false, e.Message);
        }
    }

    /// <summary>Somebody chose the tag, and expects checks to decide. Applications without such checks leave the default.</summary>
    private void WarnOfUnknownTag(RegistrationHealthOptions options)
    {
        if (options.Enabled && options.Tag is not (null or "" or RegistrationHealthOptions.DefaultTag) && options.Tag != _unknownTag)
        {
            _unknownTag = options.Tag;
            Log.UnknownTag(logger, options.Tag);
        }
    }

    private static bool Decides(HealthCheckRegistration check, RegistrationHealthOptions options)
        => !RegistrationHealthCheck.Is(check) && !InServiceHealthCheck.Is(check) && !EtcdHealthCheck.Is(check) && (string.IsNullOrEmpty(options.Tag) || check.Tags.Contains(options.Tag));

    private static partial class Log
    {
        [LoggerMessage(2761, LogLevel.Warning, "This application is unhealthy, and out of service until it is healthy again: {Failing}.")]
        public static partial void Withdraws(ILogger logger, string failing);

        [LoggerMessage(2762, LogLevel.Information, "This application is healthy again, and in service.")]
        public static partial void ComesBack(ILogger logger);

        [LoggerMessage(2766, LogLevel.Error, "The registration could not follow the application's health; it is tried again with the next run of the checks.")]
        public static partial void NotApplied(ILogger logger, Exception exception);

        [LoggerMessage(2763, LogLevel.Error, "The health checks could not be run; that counts as unhealthy.")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(2764, LogLevel.Warning, "This application is not healthy yet, and registered as soon as it is. Unhealthy: {Failing}.")]
        public static partial void NotYet(ILogger logger, string failing);

        [LoggerMessage(2767, LogLevel.Warning, "Etcd:Registration:Health:Tag is '{Tag}', but no health check of this application has that tag, so it always counts "
            + "as healthy. Give the tag to those that are to decide, or set Etcd:Registration:Health:Enabled to false.")]
        public static partial void UnknownTag(ILogger logger, string tag);
    }
}
