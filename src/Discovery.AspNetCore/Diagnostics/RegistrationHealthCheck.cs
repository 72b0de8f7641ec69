using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>Tells how the registration stands. It never decides over the registration itself: that would be a circle.</summary>
internal sealed class RegistrationHealthCheck(IServiceRegistration registration) : IHealthCheck
{
    private static readonly Func<IServiceProvider, IHealthCheck> Factory =
        static services => new RegistrationHealthCheck(services.GetRequiredService<IServiceRegistration>());

    public static HealthCheckRegistration Register(string name, HealthStatus? failureStatus, IEnumerable<string>? tags)
        => new(name, Factory, failureStatus ?? HealthStatus.Degraded, tags);

    public static bool Is(HealthCheckRegistration check) => ReferenceEquals(check.Factory, Factory);

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
        var isWell = status.State is ServiceRegistrationState.Registered or ServiceRegistrationState.Disabled;
        return Task.FromResult(new HealthCheckResult(
            isWell ? HealthStatus.Healthy : context.Registration.FailureStatus,
            isWell ? null : $"Registration in etcd: {status.State}. {status.LastError}".TrimEnd(),
            data: data));
    }
}
