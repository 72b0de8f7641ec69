using Discovery.AspNetCore.Clusters;
using Grpc.AspNetCore.HealthChecks;
using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Health;

/// <summary>
/// Names the services that health is asked for, and has each of them heed the check of the registration, whatever else the application has it
/// heed. A name of the application's own, such as one for liveness, heeds what the application says.
/// </summary>
internal sealed class MapHealthServices(
    string checkName, IServiceProvider services, ClusterCatalog clusters, IOptionsMonitor<EtcdRegistrationOptions> registrations)
    : IPostConfigureOptions<GrpcHealthChecksOptions>
{
    public void PostConfigure(string? name, GrpcHealthChecksOptions options)
    {
        var known = GrpcServices().Concat(RegisteredServices()).ToHashSet(StringComparer.Ordinal);
        foreach (var mapping in options.Services.ToList())
        {
            if (mapping.Name.Length == 0 || known.Contains(mapping.Name))
            {
                AddCheck(options.Services, mapping);
            }
        }

        var mapped = options.Services.Select(static m => m.Name).ToHashSet(StringComparer.Ordinal);
        var common = options.Services.FirstOrDefault(static m => m.Name.Length == 0)?.HealthCheckPredicate ?? (static _ => true);
        foreach (var service in known.Where(mapped.Add))
        {
            options.Services.Map(service, common);
        }
    }

    private void AddCheck(ServiceMappingCollection mappings, ServiceMapping mapping)
    {
        if (mapping.HealthCheckPredicate is { } selects)
        {
            mappings.Map(mapping.Name, check => check.Name == checkName || selects(check));
            return;
        }

#pragma warning disable CS0618 // Obsolete, but an application may still use it.
        if (mapping.Predicate is { } counts)
        {
            mappings.MapService(mapping.Name, result => result.Name == checkName || counts(result));
        }
#pragma warning restore CS0618
    }

    /// <summary>Those that the application maps, without health and reflection themselves.</summary>
    private IEnumerable<string> GrpcServices()
        => (services.GetService<EndpointDataSource>()?.Endpoints ?? [])
            .Select(static e => e.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method.ServiceName)
            .OfType<string>()
            .Where(static s => !s.StartsWith("grpc.health.", StringComparison.Ordinal) && !s.StartsWith("grpc.reflection.", StringComparison.Ordinal));

    private List<string> RegisteredServices()
    {
        try
        {
            return [.. clusters.Registering.Select(c => registrations.Get(c.OptionsName)).SelectMany(static o => o.Services.Keys.Append(o.ServiceName)).OfType<string>()];
        }
        catch (OptionsValidationException)
        {
            // Reported by the registration itself.
            return [];
        }
    }
}
