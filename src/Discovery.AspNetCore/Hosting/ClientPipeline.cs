using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Hosting.PrimaryHandlers;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Http.Logging;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Looks at the finished handlers of each discovering client: a primary handler that replaced ours would send calls to whatever the
/// service's name resolves to, which may even answer. A handler of Microsoft.Extensions.ServiceDiscovery, as
/// <c>ConfigureHttpClientDefaults(http => http.AddServiceDiscovery())</c> adds it to all clients, would put an address in place of the service's name.
/// </summary>
internal sealed partial class ClientPipeline(ClientCatalog clients, IServiceProvider services) : IHttpMessageHandlerBuilderFilter
{
    /// <summary>By name, for the package is not referenced.</summary>
    private const string ResolvingHandler = "Microsoft.Extensions.ServiceDiscovery.Http.ResolvingHttpDelegatingHandler";

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
            throw PrimaryHandlerError.Replaced(client, primary);
        }

        for (var i = builder.AdditionalHandlers.Count - 1; i >= 0; i--)
        {
            if (builder.AdditionalHandlers[i].GetType().FullName == ResolvingHandler)
            {
                builder.AdditionalHandlers.RemoveAt(i);

                // Not before: a logger provider may itself send by a client, whose factory asks for this filter.
                Log.LeftOut(services.GetRequiredService<ILogger<EtcdDiscoveryOptions>>(), client.Name, client.ServiceName);
            }
        }

        // Those of the factory's own logging are there as well, or come later, by the order in which services are added.
        if (builder.AdditionalHandlers.Any(static h => h is not (LoggingHttpMessageHandler or LoggingScopeHttpMessageHandler)))
        {
            builder.AdditionalHandlers.Insert(0, new AttemptsHandler());
        }
    };

    private static partial class Log
    {
        [LoggerMessage(2010, LogLevel.Debug, "The client '{Client}' finds service '{Service}' by AddEtcdDiscovery; AddServiceDiscovery is left out of it.")]
        public static partial void LeftOut(ILogger logger, string client, string service);
    }
}
