using Discovery.AspNetCore;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Health;
using Discovery.AspNetCore.Registration;
using Grpc.AspNetCore.HealthChecks;
using Grpc.HealthCheck;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Has gRPC's health service say what the registration says.</summary>
public static class EtcdGrpcHealthChecksBuilderExtensions
{
    /// <summary>
    /// Has <c>grpc.health.v1.Health</c> answer NOT_SERVING from the moment on at which the application drains or is withdrawn, and as before when it
    /// is restored, so that those who go by health turn away together with those who go by etcd. Running calls of <c>Watch</c> hear of it at once.
    /// It answers for <c>""</c>, for each gRPC service that is mapped, by its full name, and for the names that the application is registered by; all
    /// other health checks count as before. Other names of <see cref="GrpcHealthChecksOptions.Services"/> have this check if their predicate takes it,
    /// by its name or tags: one for liveness must not.
    /// </summary>
    /// <remarks>
    /// The check is one like others, so health endpoints over HTTP have it too. A probe of liveness must not: it would restart an application that
    /// was withdrawn.
    /// </remarks>
    /// <param name="builder">The builder, of <c>AddGrpcHealthChecks</c>.</param>
    /// <param name="name">The name of the check, which fails while the application is out of service.</param>
    /// <param name="tags">The check's tags. Default: none.</param>
    /// <returns>The builder.</returns>
    public static IHealthChecksBuilder AddEtcdRegistration(
        this IHealthChecksBuilder builder, string name = "etcd-in-service", IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        if (services.Any(static d => d.ServiceType == typeof(ServingStatusPublisher)))
        {
            return builder;
        }

        if (services.All(static d => d.ServiceType != typeof(HealthServiceImpl)))
        {
            services.AddGrpcHealthChecks();
        }

        if (ClusterCatalog.Of(services).Registering.Count == 0)
        {
            services.AddEtcdRegistration();
        }

        services.TryAddSingleton<ServiceAvailability>();
        builder.Add(InServiceHealthCheck.Register(name, tags));
        services.AddSingleton<IPostConfigureOptions<GrpcHealthChecksOptions>>(s => new MapHealthServices(
            name, s, s.GetRequiredService<ClusterCatalog>(), s.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>()));

        // The package's own publisher would say SERVING again, by a report that was begun before the application was withdrawn.
        foreach (var publisher in services.Where(IsOfGrpc).ToList())
        {
            services.Remove(publisher);
        }

        services.AddSingleton<ServingStatusPublisher>();
        services.AddSingleton<IHealthCheckPublisher>(static s => s.GetRequiredService<ServingStatusPublisher>());
        services.AddSingleton<IHostedService>(static s => s.GetRequiredService<ServingStatusPublisher>());
        return builder;
    }

    private static bool IsOfGrpc(ServiceDescriptor descriptor)
        => descriptor.ServiceType == typeof(IHealthCheckPublisher) && !descriptor.IsKeyedService
            && descriptor.ImplementationType?.Assembly == typeof(GrpcHealthChecksOptions).Assembly;
}
