using Discovery.AspNetCore.Registration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>
/// Fails while the application is withdrawn or stops. It never decides over the registration itself: that would be a circle.
/// </summary>
internal sealed class InServiceHealthCheck(ServiceAvailability availability) : IHealthCheck
{
    /// <summary>The checks of this type are known by it.</summary>
    private static readonly Func<IServiceProvider, IHealthCheck> Factory =
        static s => new InServiceHealthCheck(s.GetRequiredService<ServiceAvailability>());

    public static HealthCheckRegistration Register(string name, IEnumerable<string>? tags) => new(name, Factory, HealthStatus.Unhealthy, tags);

    public static bool Is(HealthCheckRegistration check) => check.Factory == Factory;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(availability.IsInService
            ? HealthCheckResult.Healthy()
            : new HealthCheckResult(context.Registration.FailureStatus, "This application is withdrawn, or stops: it is to get no new calls."));
}
