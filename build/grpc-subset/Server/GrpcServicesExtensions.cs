using Grpc.AspNetCore.Server;
using Grpc.AspNetCore.Server.Binding;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds what gRPC services need.</summary>
public static class GrpcServicesExtensions
{
    private const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    /// <summary>Adds what gRPC services need.</summary>
    public static IGrpcServerBuilder AddGrpc(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddRoutingCore();
        services.AddOptions<GrpcServiceOptions>().Configure(SetDefaults);
        services.Configure<RouteOptions>(options => options.SetParameterPolicy<GrpcRequestConstraint>(GrpcRequestConstraint.Name));
        services.TryAddSingleton<MappedServices>();
        return new GrpcServerBuilder(services);
    }

    /// <summary>Adds what gRPC services need.</summary>
    public static IGrpcServerBuilder AddGrpc(this IServiceCollection services, Action<GrpcServiceOptions> configureOptions)
        => services.Configure(configureOptions).AddGrpc();

    private static void SetDefaults(GrpcServiceOptions options)
    {
        if (!options.HasMaxReceiveMessageSize)
        {
            options.MaxReceiveMessageSize = DefaultMaxReceiveMessageSize;
        }
    }
}
