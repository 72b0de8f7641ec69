using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.ServiceDiscovery;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>
/// Puts the instances of services in place of the destinations that stand for them. Never fails, for one cluster without instances is to
/// stop no other, nor the application: it has no destinations until etcd has some.
/// </summary>
/// <param name="services">The services.</param>
/// <param name="factory">Makes the destinations.</param>
/// <param name="next">The resolver of all other destinations; null to leave them as they are.</param>
/// <param name="logger">The logger.</param>
internal sealed partial class EtcdDestinationResolver(
    FollowedServices services, DestinationFactory factory, IDestinationResolver? next, ILogger logger) : IDestinationResolver
{
    public async ValueTask<ResolvedDestinationCollection> ResolveDestinationsAsync(
        IReadOnlyDictionary<string, DestinationConfig> destinations, CancellationToken cancellationToken)
    {
        var resolved = new ResolvedDestinations();
        var others = new Dictionary<string, DestinationConfig>(StringComparer.OrdinalIgnoreCase);
        List<IChangeToken> tokens = [];
        foreach (var (name, config) in destinations)
        {
            if (!ServiceDestination.TryRead(name, config, out var service))
            {
                others[name] = config;
            }
            else if (service.GetProblem() is { } problem)
            {
                Log.WrongName(logger, name, ForeignText.HideUser(config.Address), problem);
            }
            else
            {
                resolved.Services.Add(service.ServiceName);
                var feed = services.Follow(service.ServiceName);

                // Before the snapshot, or a change between the two would be missed.
                tokens.Add(feed.Token);
                if (await FindAsync(feed, cancellationToken).ConfigureAwait(false) is { } snapshot)
                {
                    factory.Add(service, snapshot, resolved);
                }
            }
        }

        if (others.Count > 0)
        {
            await AddOthersAsync(others, resolved, tokens, cancellationToken).ConfigureAwait(false);
        }

        return new ResolvedDestinationCollection(resolved, tokens switch
        {
            [] => null,
            [var only] => only,
            _ => new AnyChangeToken(tokens),
        });
    }

    private async ValueTask AddOthersAsync(
        Dictionary<string, DestinationConfig> others,
        Dictionary<string, DestinationConfig> resolved,
        List<IChangeToken> tokens,
        CancellationToken cancellationToken)
    {
        IReadOnlyDictionary<string, DestinationConfig> result = others;
        if (next is not null)
        {
            var collection = await next.ResolveDestinationsAsync(others, cancellationToken).ConfigureAwait(false);
            result = collection.Destinations;
            if (collection.ChangeToken is { } token)
            {
                tokens.Add(token);
            }
        }

        foreach (var (name, config) in result)
        {
            resolved[name] = config;
        }
    }

    private async ValueTask<ServiceSnapshot?> FindAsync(ServiceFeed feed, CancellationToken cancellationToken)
    {
        if (feed.Current is { } current)
        {
            return current;
        }

        if (!services.BeginWait(feed.ServiceName))
        {
            return null;
        }

        try
        {
            return await feed.WaitForReadyAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Log.NotReady(logger, feed.ServiceName, e.Message);
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4101, LogLevel.Error, "The destination '{Destination}' with the address '{Address}' is left out: {Problem}")]
        public static partial void WrongName(ILogger logger, string destination, string address, string problem);

        [LoggerMessage(4102, LogLevel.Warning, "Service '{Service}' has no destinations until etcd can be asked; requests to it get 503. {Problem}")]
        public static partial void NotReady(ILogger logger, string service, string problem);
    }
}
