using System.Collections.Concurrent;
using Discovery.AspNetCore.Feeds;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.ServiceDiscovery;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>
/// Puts the instances of services in place of the destinations that stand for them. Never fails, for one cluster without instances is to
/// stop no other, nor the application: it has no destinations until etcd has some.
/// </summary>
/// <param name="feeds">The services.</param>
/// <param name="factory">Makes the destinations.</param>
/// <param name="next">The resolver of all other destinations; null to leave them as they are.</param>
/// <param name="logger">The logger.</param>
internal sealed partial class EtcdDestinationResolver(
    FeedCatalog feeds, DestinationFactory factory, IDestinationResolver? next, ILogger logger) : IDestinationResolver
{
    /// <summary>The services that the proxy has had destinations for. They are followed until the application stops.</summary>
    private readonly ConcurrentDictionary<string, Lazy<ServiceFeed>> _followed = new(StringComparer.Ordinal);

    /// <summary>The services that were waited for. All clusters wait for each other, so it is done once.</summary>
    private readonly ConcurrentDictionary<string, bool> _awaited = new(StringComparer.Ordinal);

    public async ValueTask<ResolvedDestinationCollection> ResolveDestinationsAsync(
        IReadOnlyDictionary<string, DestinationConfig> destinations, CancellationToken cancellationToken)
    {
        var resolved = new Dictionary<string, DestinationConfig>(StringComparer.OrdinalIgnoreCase);
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
                Log.WrongName(logger, name, config.Address, problem);
            }
            else
            {
                var feed = _followed.GetOrAdd(service.ServiceName, n => new Lazy<ServiceFeed>(() => feeds.Acquire(n))).Value;

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
            _ => new CompositeChangeToken(tokens),
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

        if (!_awaited.TryAdd(feed.ServiceName, true))
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
