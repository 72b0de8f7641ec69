using Discovery.AspNetCore;
using Discovery.AspNetCore.Channels;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Makes the clients of <c>AddGrpcClient</c> find the service in etcd that their address names.</summary>
public static class EtcdGrpcHttpClientBuilderExtensions
{
    /// <summary>
    /// Sends the client's requests to the instances of a service, found in etcd and balanced per call: the service of the gRPC client's address,
    /// <c>etcd:///greeter</c>, or else the one of the client's name, as for any HttpClient.
    /// </summary>
    /// <param name="builder">The client's builder, e.g. of <c>AddGrpcClient</c>.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">The address or the name names no service.</exception>
    public static IHttpClientBuilder AddEtcdDiscovery(this IHttpClientBuilder builder) => Add(builder, configure: null);

    /// <summary>The same, with options for this client alone, which then has connections of its own.</summary>
    /// <param name="builder">The client's builder, e.g. of <c>AddGrpcClient</c>.</param>
    /// <param name="configure">Sets the options.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">The address or the name names no service.</exception>
    public static IHttpClientBuilder AddEtcdDiscovery(this IHttpClientBuilder builder, Action<EtcdDiscoveryOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return Add(builder, configure);
    }

    /// <summary>
    /// Sends the client's requests to the instances of a service that is named here. A gRPC client may have any address beside it, whose host is what
    /// calls name; one such as <c>etcd:///greeter</c> must name the same service.
    /// </summary>
    /// <param name="builder">The client's builder, e.g. of <c>AddGrpcClient</c>.</param>
    /// <param name="serviceName">The service's name, exact and case-sensitive; null for what is called without it.</param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own. Default: none.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    public static IHttpClientBuilder AddEtcdDiscovery(
        this IHttpClientBuilder builder, string? serviceName, Action<EtcdDiscoveryOptions>? configure = null)
        => serviceName is null ? Add(builder, configure) : Add(builder, serviceName, configure);

    private static IHttpClientBuilder Add(IHttpClientBuilder builder, Action<EtcdDiscoveryOptions>? configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var address = AddressOf(builder);
        return Add(builder, EtcdAddress.Is(address) ? EtcdAddress.ServiceNameOf(address!) : null, configure);
    }

    private static IHttpClientBuilder Add(IHttpClientBuilder builder, string? serviceName, Action<EtcdDiscoveryOptions>? configure)
    {
        EtcdGrpcServiceCollectionExtensions.AddChannelConfiguration(builder.Services);
        return EtcdHttpClientBuilderExtensions.AddEtcdDiscovery(builder, serviceName, configure);
    }

    /// <summary>
    /// The address as far as it is known while services are added. One that is not is compared with the service's name when the client is made.
    /// </summary>
    private static Uri? AddressOf(IHttpClientBuilder builder)
    {
        var options = new GrpcClientFactoryOptions();
        foreach (var descriptor in builder.Services)
        {
            if (!descriptor.IsKeyedService && descriptor.ImplementationInstance is ConfigureNamedOptions<GrpcClientFactoryOptions> configure)
            {
                try
                {
                    configure.Configure(builder.Name, options);
                }
                catch (Exception)
                {
                    // It may need what is not there yet, and fails again, if it does, when the client is made.
                }
            }
        }

        return options.Address;
    }
}
