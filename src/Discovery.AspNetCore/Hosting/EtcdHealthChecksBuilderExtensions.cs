using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds health checks of registration and discovery.</summary>
public static class EtcdHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check that tells whether the application is registered in etcd. The application serves all the same, so a check that fails
    /// says <see cref="HealthStatus.Degraded"/>, and it never makes the application withdraw.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="failureStatus">What it says while the application is not registered. Default: <see cref="HealthStatus.Degraded"/>.</param>
    /// <param name="tags">The check's tags. Default: none.</param>
    /// <returns>The builder.</returns>
    public static IHealthChecksBuilder AddEtcdRegistrationCheck(
        this IHealthChecksBuilder builder,
        string name = "etcd-registration",
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null)
    {
        builder.Services.AddEtcdRegistration();
        return builder.Add(RegistrationHealthCheck.Register(Cluster.Default, name, failureStatus, tags));
    }

    /// <summary>The same for the registration in a named cluster; what it says and its data name the cluster.</summary>
    /// <param name="builder">The builder.</param>
    /// <param name="cluster">The cluster's name; <c>AddKeyedEtcdRegistration</c> is called for it.</param>
    /// <param name="name">The check's name. Default: <c>etcd-registration-</c> and the cluster's name.</param>
    /// <param name="failureStatus">What it says while the application is not registered. Default: <see cref="HealthStatus.Degraded"/>.</param>
    /// <param name="tags">The check's tags. Default: none.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">The cluster's name is not valid.</exception>
    public static IHealthChecksBuilder AddKeyedEtcdRegistrationCheck(
        this IHealthChecksBuilder builder,
        string cluster,
        string? name = null,
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null)
    {
        builder.Services.AddKeyedEtcdRegistration(cluster);
        return builder.Add(RegistrationHealthCheck.Register(new Cluster(cluster), name ?? $"etcd-registration-{cluster}", failureStatus, tags));
    }
}
