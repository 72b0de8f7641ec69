using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Configures clients that <c>AddGrpcClient</c> registered.</summary>
public static class GrpcHttpClientBuilderExtensions
{
    /// <summary>Configures the channel of the client.</summary>
    /// <exception cref="InvalidOperationException">The builder is not of a gRPC client.</exception>
    public static IHttpClientBuilder ConfigureChannel(this IHttpClientBuilder builder, Action<GrpcChannelOptions> configureChannel)
    {
        ArgumentNullException.ThrowIfNull(configureChannel);
        return builder.Configure(nameof(ConfigureChannel), (_, options) => options.ChannelOptionsActions.Add(configureChannel));
    }

    /// <summary>Configures the channel of the client.</summary>
    /// <exception cref="InvalidOperationException">The builder is not of a gRPC client.</exception>
    public static IHttpClientBuilder ConfigureChannel(this IHttpClientBuilder builder, Action<IServiceProvider, GrpcChannelOptions> configureChannel)
    {
        ArgumentNullException.ThrowIfNull(configureChannel);
        return builder.Configure(
            nameof(ConfigureChannel),
            (services, options) => options.ChannelOptionsActions.Add(channel => configureChannel(services, channel)));
    }

    /// <summary>Creates the client instead of its constructor.</summary>
    /// <exception cref="InvalidOperationException">The builder is not of a gRPC client.</exception>
    public static IHttpClientBuilder ConfigureGrpcClientCreator(this IHttpClientBuilder builder, Func<CallInvoker, object> configureCreator)
    {
        ArgumentNullException.ThrowIfNull(configureCreator);
        return builder.Configure(nameof(ConfigureGrpcClientCreator), (_, options) => options.Creator = configureCreator);
    }

    /// <summary>Creates the client instead of its constructor.</summary>
    /// <exception cref="InvalidOperationException">The builder is not of a gRPC client.</exception>
    public static IHttpClientBuilder ConfigureGrpcClientCreator(
        this IHttpClientBuilder builder, Func<IServiceProvider, CallInvoker, object> configureCreator)
    {
        ArgumentNullException.ThrowIfNull(configureCreator);
        return builder.Configure(
            nameof(ConfigureGrpcClientCreator),
            (services, options) => options.Creator = invoker => configureCreator(services, invoker));
    }

    private static IHttpClientBuilder Configure(
        this IHttpClientBuilder builder, string caller, Action<IServiceProvider, GrpcClientFactoryOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (builder.Services.FirstOrDefault(service => service.ServiceType == typeof(ClientNames))?.ImplementationInstance
            is not ClientNames names || !names.Has(builder.Name))
        {
            throw new InvalidOperationException($"{caller} must be used with a gRPC client.");
        }

        builder.Services.AddTransient<IConfigureOptions<GrpcClientFactoryOptions>>(
            services => new ConfigureNamedOptions<GrpcClientFactoryOptions>(builder.Name, options => configure(services, options)));
        return builder;
    }
}
