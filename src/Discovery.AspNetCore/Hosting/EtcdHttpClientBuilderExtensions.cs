using Discovery.AspNetCore;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Makes the clients of <see cref="IHttpClientFactory"/> find their service in etcd.</summary>
public static class EtcdHttpClientBuilderExtensions
{
    /// <summary>
    /// Sends the client's requests to the instances of a service, found in etcd and balanced per call. A client without a base address
    /// gets one that names the service, so that requests may have relative addresses.
    /// </summary>
    /// <typeparam name="TBuilder">The builder's type, e.g. <see cref="IHttpClientBuilder"/>.</typeparam>
    /// <param name="builder">The client's builder.</param>
    /// <param name="serviceName">
    /// The service's name, exact and case-sensitive. Default: what <c>Etcd:Discovery:Clients:&lt;client&gt;:Service</c> says, or else the
    /// client's name.
    /// </param>
    /// <param name="configure">Sets options for this client alone, which then has connections of its own.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="ArgumentException">There is no service name: the client has no name either, or it cannot be a service's.</exception>
    /// <exception cref="InvalidOperationException">
    /// The builder is that of <c>ConfigureHttpClientDefaults</c>, or the client discovers another service already.
    /// </exception>
    public static TBuilder AddEtcdDiscovery<TBuilder>(
        this TBuilder builder, string? serviceName = null, Action<EtcdDiscoveryOptions>? configure = null)
        where TBuilder : IHttpClientBuilder
    {
        // Generic, so that C# prefers the methods of the same name for gRPC clients, which are not, wherever their package is referenced.
        var client = AddClient(builder, serviceName, configure);

        // After all that the application does to the client, whose base address may name the service otherwise.
        builder.Services.PostConfigure<HttpClientFactoryOptions>(
            builder.Name, options => options.HttpClientActions.Add(http => client.AddHost(http.BaseAddress)));
        builder.ConfigureHttpClient((services, http) =>
            http.BaseAddress ??= ServiceAuthority.BaseAddress(
                services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get(client.OptionsName).Scheme, client.ServiceName));
        return builder;
    }

    /// <summary>
    /// Changes the transport of each of the service's instances: certificates, buffers, idle times. The client then has connections of
    /// its own. The connect callback is the discovery's and must stay. It stands in place of <c>ConfigurePrimaryHttpMessageHandler</c>
    /// and <c>UseSocketsHttpHandler</c>, which would replace discovery.
    /// </summary>
    /// <param name="builder">The builder of a client with <c>AddEtcdDiscovery</c> or <c>AddEtcdGrpcClient</c>.</param>
    /// <param name="configure">Called before the first call to each instance.</param>
    /// <returns>The builder.</returns>
    /// <exception cref="InvalidOperationException">The client does not discover a service.</exception>
    public static IHttpClientBuilder ConfigureEtcdTransport(this IHttpClientBuilder builder, Action<SocketsHttpHandler> configure)
    {
        var client = ClientCatalog.Of(builder.Services).Find(builder.Name)
            ?? throw new InvalidOperationException($"The client '{builder.Name}' does not discover a service; call AddEtcdDiscovery before.");
        client.IsCustomised = true;
        client.Transport.Add(configure);
        return builder;
    }

    /// <summary>Registers the client and its handler, and leaves its base address alone.</summary>
    internal static RegisteredClient AddClient(IHttpClientBuilder builder, string? serviceName, Action<EtcdDiscoveryOptions>? configure)
    {
        if (builder.Name is null)
        {
            throw new InvalidOperationException(
                "Discovery is for a client of one service, and ConfigureHttpClientDefaults is for all clients. Call AddEtcdDiscovery on the clients that "
                + "call services: AddHttpClient(\"orders\").AddEtcdDiscovery().");
        }

        var isDefault = serviceName is null;
        serviceName ??= builder.Name;
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(
                $"The client '{builder.Name}' has no service to discover: {problem}. Name it: AddEtcdDiscovery(\"greeter\").", nameof(serviceName));
        }

        EtcdServiceCollectionExtensions.AddDiscovery(builder.Services);
        var client = ClientCatalog.Of(builder.Services).GetOrAdd(builder.Name, serviceName, isDefault);
        if (configure is not null)
        {
            client.IsCustomised = true;
            // As Configure does, which looks through all services besides, and clients may be thousands.
            builder.Services.AddSingleton<IConfigureOptions<EtcdDiscoveryOptions>>(
                new ConfigureNamedOptions<EtcdDiscoveryOptions>(client.OptionsName, configure));
        }

        return client;
    }
}
