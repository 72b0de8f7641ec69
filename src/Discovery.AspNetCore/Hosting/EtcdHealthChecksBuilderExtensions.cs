using Discovery.AspNetCore;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds health checks of registration and discovery.</summary>
public static class EtcdHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check that tells whether etcd answers and has a leader, with its version and how each endpoint stands. The application serves
    /// without etcd, so a check that fails says <see cref="HealthStatus.Degraded"/>, and it never makes the application withdraw. Where the settings
    /// leave etcd out, as with <c>Etcd:Registration:Enabled</c> false, it is healthy and says so.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="failureStatus">What it says while etcd does not answer. Default: <see cref="HealthStatus.Degraded"/>.</param>
    /// <param name="tags">The check's tags. Default: none.</param>
    /// <param name="timeout">
    /// How long the check may take, after which etcd counts as not answering unless it answered another call within the last 2 s. Default: 0.7 s,
    /// which is within the second that a probe of Kubernetes has. Give it more where etcd is so far away that connecting to it takes longer.
    /// </param>
    /// <returns>The builder.</returns>
    public static IHealthChecksBuilder AddEtcd(
        this IHealthChecksBuilder builder,
        string name = "etcd",
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        EtcdServiceCollectionExtensions.AddClientAndLayouts(builder.Services);
        EtcdUse.Of(builder.Services).CheckedClusters.Add(Cluster.Default);
        return builder.Add(EtcdHealthCheck.Register(Cluster.Default, name, failureStatus, tags, timeout));
    }

    /// <summary>The same for a named cluster; what it says and its data name the cluster.</summary>
    /// <param name="builder">The builder.</param>
    /// <param name="cluster">The cluster's name; it is added as by <c>AddKeyedEtcdClient</c>.</param>
    /// <param name="name">The check's name. Default: <c>etcd-</c> and the cluster's name.</param>
    /// <param name="failureStatus">What it says while etcd does not answer. Default: <see cref="HealthStatus.Degraded"/>.</param>
    /// <param name="tags">The check's tags. Default: none.</param>
    /// <param name="timeout">
    /// How long the check may take, after which etcd counts as not answering unless it answered another call within the last 2 s. Default: 0.7 s,
    /// which is within the second that a probe of Kubernetes has. Give it more where etcd is so far away that connecting to it takes longer.
    /// </param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">The cluster's name is not valid.</exception>
    public static IHealthChecksBuilder AddKeyedEtcd(
        this IHealthChecksBuilder builder,
        string cluster,
        string? name = null,
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        var added = EtcdServiceCollectionExtensions.AddCluster(builder.Services, cluster);
        EtcdUse.Of(builder.Services).CheckedClusters.Add(added);
        return builder.Add(EtcdHealthCheck.Register(added, name ?? $"etcd-{cluster}", failureStatus, tags, timeout));
    }

    /// <summary>
    /// Adds a check that tells whether a service that the application calls has enough instances: those in etcd that neither drain nor have
    /// the weight 0, that the service's settings select and allow to be dialled, and that this application's clients have not ejected. Its data says how many of each there are, and how old the knowledge
    /// is. Where etcd is away, the last known instances count.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <param name="minimum">The least number of instances. Default: 1.</param>
    /// <param name="name">The check's name. Default: <c>etcd-discovery-</c> and the service's name.</param>
    /// <param name="failureStatus">
    /// What it says while there are fewer. With <see cref="HealthStatus.Unhealthy"/>, an application that registers itself with its health
    /// withdraws for it. Default: <see cref="HealthStatus.Degraded"/>.
    /// </param>
    /// <param name="tags">The check's tags. Default: none.</param>
    /// <param name="timeout">How long the check may take. Default: no limit of its own; <c>Etcd:Discovery:ReadyTimeout</c> (5 s) is one.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number is less than 1.</exception>
    public static IHealthChecksBuilder AddEtcdDiscovery(
        this IHealthChecksBuilder builder,
        string serviceName,
        int minimum = 1,
        string? name = null,
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(problem, nameof(serviceName));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(minimum, 1);
        builder.Services.AddEtcdDiscovery();
        builder.Services.TryAddSingleton(CallableInstances.Create);
        return builder.Add(new HealthCheckRegistration(
            name ?? $"etcd-discovery-{serviceName}",
            s => new DiscoveryHealthCheck(
                s.GetRequiredService<IServiceDirectory>(), s.GetRequiredService<PoolCache>(), s.GetRequiredService<CallableInstances>(), serviceName, minimum),
            failureStatus ?? HealthStatus.Degraded,
            tags,
            timeout));
    }

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
