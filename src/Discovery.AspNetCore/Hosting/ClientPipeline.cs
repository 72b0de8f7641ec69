using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Http;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Looks at the finished handlers of each discovering client: a primary handler that replaced ours would send calls to whatever the
/// service's name resolves to, which may even answer.
/// </summary>
internal sealed class ClientPipeline(ClientCatalog clients) : IHttpMessageHandlerBuilderFilter
{
    private const string ServiceDiscovery = "Microsoft.Extensions.ServiceDiscovery.Http.ResolvingHttpDelegatingHandler";

    public Action<HttpMessageHandlerBuilder> Configure(Action<HttpMessageHandlerBuilder> next) => builder =>
    {
        next(builder);
        if (builder.Name is null || clients.Find(builder.Name) is not { } client)
        {
            return;
        }

        var primary = builder.PrimaryHandler;
        while (primary is DelegatingHandler { InnerHandler: { } inner })
        {
            primary = inner;
        }

        if (primary is not DiscoveryHandler)
        {
            throw new InvalidOperationException(
                $"The client '{client.Name}' discovers service '{client.ServiceName}', but its primary handler was replaced by "
                + $"{primary.GetType().Name} (ConfigurePrimaryHttpMessageHandler, UseSocketsHttpHandler). Use ConfigureEtcdTransport, which "
                + "changes the SocketsHttpHandler of each instance: .ConfigureEtcdTransport(handler => handler.SslOptions = …).");
        }

        // ConfigureHttpClientDefaults gives it to all clients; it would put an address in place of the service's name. Its package is none of ours.
        foreach (var resolving in builder.AdditionalHandlers.Where(static h => h.GetType().FullName == ServiceDiscovery).ToList())
        {
            builder.AdditionalHandlers.Remove(resolving);
        }

        if (builder.AdditionalHandlers.Count > 0)
        {
            builder.AdditionalHandlers.Insert(0, new AttemptsHandler());
        }
    };
}
