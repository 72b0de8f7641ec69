using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>Tells how the registration stands. It never decides over the registration itself: that would be a circle.</summary>
internal sealed class RegistrationHealthCheck(IServiceRegistration registration) : IHealthCheck
{
    public static HealthCheckRegistration Register(Cluster cluster, string name, HealthStatus? failureStatus, IEnumerable<string>? tags)
        => new(name, new Source(cluster).Create, failureStatus ?? HealthStatus.Degraded, tags);

    public static bool Is(HealthCheckRegistration check) => check.Factory.Target is Source;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var status = registration.Status;
        var data = new Dictionary<string, object>
        {
            ["state"] = status.State.ToString(),
            ["instance"] = status.InstanceId,
            ["keys"] = status.Keys,
            ["lease"] = status.LeaseId.ToString("x", System.Globalization.CultureInfo.InvariantCulture),
        };
        if (status.Cluster is not null)
        {
            data["cluster"] = status.Cluster;
        }

        var isWell = status.State is ServiceRegistrationState.Registered or ServiceRegistrationState.Disabled;
        return Task.FromResult(new HealthCheckResult(
            isWell ? HealthStatus.Healthy : context.Registration.FailureStatus,
            isWell ? null : $"Registration in {(status.Cluster is null ? "etcd" : $"cluster {status.Cluster}")}: {status.State}. {status.LastError}".TrimEnd(),
            data: data));
    }

    /// <summary>Makes the checks of a cluster; those of this type are known by it.</summary>
    private sealed class Source(Cluster cluster)
    {
        public RegistrationHealthCheck Create(IServiceProvider services) => new(cluster.GetService<IServiceRegistration>(services));
    }
}
