using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Registration;

/// <summary>What this application maps for gRPC.</summary>
internal static class GrpcServices
{
    /// <summary>Whether it maps any service. Known by the name of the metadata's type, for this assembly does not depend on Grpc.AspNetCore.</summary>
    public static bool AreMapped(IServiceProvider services)
        => services.GetService<EndpointDataSource>()?.Endpoints
            .Any(static endpoint => endpoint.Metadata.Any(static m => m.GetType().FullName == "Grpc.AspNetCore.Server.GrpcMethodMetadata")) == true;
}
