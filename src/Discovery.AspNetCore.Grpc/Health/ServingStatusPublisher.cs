using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Registration;
using Discovery.Etcd;
using Grpc.AspNetCore.HealthChecks;
using Grpc.HealthCheck;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Discovery.AspNetCore.Health;

/// <summary>
/// What running calls of <c>Watch</c> hear: the health checks, as they are run again and again, and NOT_SERVING at once while the application is
/// out of service. It stands in place of the publisher of Grpc.AspNetCore.HealthChecks, which hears of that with the next run.
/// </summary>
internal sealed partial class ServingStatusPublisher(
    HealthServiceImpl health,
    IOptions<GrpcHealthChecksOptions> services,
    IOptions<HealthCheckPublisherOptions> publishing,
    IOptions<HealthCheckServiceOptions> registered,
    HealthCheckService checks,
    ServiceAvailability availability,
    ILogger<IServiceRegistration> logger) : IHealthCheckPublisher, IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ServingStatus> _published = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HealthReportEntry> _ownChecks = registered.Value.Registrations.Where(InServiceHealthCheck.Is)
        .ToDictionary(static r => r.Name, static r => new HealthReportEntry(HealthStatus.Unhealthy, null, TimeSpan.Zero, null, null, r.Tags));

    private bool _isWithdrawn;
    private int _disposed;

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!availability.IsInService)
            {
                WithdrawGateHeld();
                PublishGateHeld(report, static heeds => !heeds);
            }
            else if (report.Entries.Any(e => _ownChecks.ContainsKey(e.Key) && e.Value.Status == HealthStatus.Unhealthy))
            {
                // Older than the return into service, of which a newer one tells.
                PublishGateHeld(report, static heeds => !heeds);
            }
            else
            {
                _isWithdrawn = false;
                PublishGateHeld(report, static _ => true);
            }
        }

        return Task.CompletedTask;
    }

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        availability.Changed += OnChanged;
        OnChanged();
        return Task.CompletedTask;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        // The container knows it by several names, and disposes it by each. A host can be stopped twice at once, as WebApplicationFactory does
        // beside the application's own RunAsync; then one of the two stops may come after the disposal.
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            availability.Changed -= OnChanged;
            _stop.Cancel();
            _stop.Dispose();
        }
    }

    /// <summary>One that has no check is neither; as in Grpc.AspNetCore.HealthChecks.</summary>
    private static ServingStatus Evaluate(ServiceMapping service, HealthReport report)
    {
        var entries = report.Entries.Where(e => Heeds(service, e.Key, e.Value)).ToList();
        return entries.Count == 0 ? ServingStatus.Unknown
            : entries.Exists(static e => e.Value.Status == HealthStatus.Unhealthy) ? ServingStatus.NotServing
            : ServingStatus.Serving;
    }

    private static bool Heeds(ServiceMapping service, string check, HealthReportEntry entry)
    {
        if (service.HealthCheckPredicate is { } selects)
        {
            return selects(new HealthCheckMapContext(check, entry.Tags));
        }

#pragma warning disable CS0618 // Obsolete, but an application may still use it.
        return service.Predicate?.Invoke(
            new HealthResult(check, entry.Tags, entry.Status, entry.Description, entry.Duration, entry.Exception, entry.Data)) != false;
#pragma warning restore CS0618
    }

    private bool HeedsRegistration(ServiceMapping service) => _ownChecks.Any(check => Heeds(service, check.Key, check.Value));

    private void OnChanged()
    {
        lock (_gate)
        {
            if (!availability.IsInService)
            {
                WithdrawGateHeld();
                return;
            }
        }

        _ = Detached.Run(CheckAsync);
    }

    private async Task CheckAsync()
    {
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            limit.CancelAfter(publishing.Value.Timeout);
            var report = await checks.CheckHealthAsync(publishing.Value.Predicate, limit.Token).ConfigureAwait(false);
            await PublishAsync(report, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ObjectDisposedException || _stop.IsCancellationRequested)
        {
            // The application stops, or was disposed without a stop.
        }
        catch (Exception e)
        {
            // The checks run again soon, as they always do.
            Log.ChecksFailed(logger, e.Message);
        }
    }

    /// <param name="report">What the checks say.</param>
    /// <param name="isWanted">Whether it is published for a service, by whether that heeds the registration.</param>
    private void PublishGateHeld(HealthReport report, Func<bool, bool> isWanted)
    {
        foreach (var service in services.Value.Services.Where(s => isWanted(HeedsRegistration(s))))
        {
            SetGateHeld(service.Name, Evaluate(service, report));
        }
    }

    private void WithdrawGateHeld()
    {
        foreach (var service in services.Value.Services.Where(HeedsRegistration))
        {
            // A call of Watch begins with what the checks say at that moment, which may be better than what was published last; to publish
            // the same again would then tell it nothing.
            if (!_isWithdrawn && _published.GetValueOrDefault(service.Name) == ServingStatus.NotServing)
            {
                health.SetStatus(service.Name, ServingStatus.Unknown);
            }

            SetGateHeld(service.Name, ServingStatus.NotServing);
        }

        _isWithdrawn = true;
    }

    private void SetGateHeld(string service, ServingStatus status)
    {
        _published[service] = status;
        health.SetStatus(service, status);
    }

    private static partial class Log
    {
        [LoggerMessage(4211, LogLevel.Warning, "The health checks could not be run for gRPC's health service: {Problem}")]
        public static partial void ChecksFailed(ILogger logger, string problem);
    }
}
