using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Registration;

/// <summary>What this application maps for gRPC.</summary>
internal static class GrpcServices
{
    /// <summary>Whether it maps any service.</summary>
    public static bool AreMapped(IServiceProvider services) => Find(services).Any();

    /// <summary>Whether it maps any service but those for operators: gRPC's health and reflection.</summary>
    public static bool AreMappedForClients(IServiceProvider services)
        => Find(services).Any(static endpoint => (endpoint as RouteEndpoint)?.RoutePattern.RawText is not { } route
            || !(route.StartsWith("/grpc.health.", StringComparison.Ordinal) || route.StartsWith("/grpc.reflection.", StringComparison.Ordinal)));

    /// <summary>They are known by the name of the metadata's type, for this assembly does not depend on Grpc.AspNetCore.</summary>
    private static IEnumerable<Endpoint> Find(IServiceProvider services)
        => services.GetService<EndpointDataSource>()?.Endpoints
            .Where(static endpoint => endpoint.Metadata.Any(static m => m.GetType().FullName == "Grpc.AspNetCore.Server.GrpcMethodMetadata")) ?? [];
}
