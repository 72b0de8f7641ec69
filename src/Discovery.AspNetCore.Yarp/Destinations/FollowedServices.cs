using System.Collections.Concurrent;
using Discovery.AspNetCore.Feeds;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>The services that the proxy has destinations for, for as long as its configuration has them.</summary>
internal sealed class FollowedServices(FeedCatalog feeds) : IConfigChangeListener
{
    private readonly ConcurrentDictionary<string, Lazy<ServiceFeed>> _feeds = new(StringComparer.Ordinal);

    /// <summary>The services that were waited for. All clusters wait for each other, so it is done once.</summary>
    private readonly ConcurrentDictionary<string, bool> _awaited = new(StringComparer.Ordinal);

    /// <summary>The services that the configuration had when it was last applied.</summary>
    private HashSet<string> _applied = new(StringComparer.Ordinal);

    /// <summary>What is followed, in order.</summary>
    public IEnumerable<string> ServiceNames => _feeds.Keys.Order(StringComparer.Ordinal);

    public ServiceFeed Follow(string serviceName)
        => _feeds.GetOrAdd(serviceName, name => new Lazy<ServiceFeed>(() => feeds.Acquire(name))).Value;

    /// <summary>Whether the service has not been waited for yet; from now on it has.</summary>
    public bool BeginWait(string serviceName) => _awaited.TryAdd(serviceName, true);

    /// <summary>
    /// Ends following what left the configuration. Only what was seen in it before: where a resolver of somebody else stands around ours, nothing
    /// of it is seen here, and everything is followed on.
    /// </summary>
    public void ConfigurationApplied(IReadOnlyList<IProxyConfig> proxyConfigs)
    {
        var applied = proxyConfigs.SelectMany(static c => c.Clusters ?? []).Select(static c => c.Destinations).OfType<ResolvedDestinations>()
            .SelectMany(static d => d.Services).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _applied.Except(applied))
        {
            if (_feeds.TryRemove(gone, out var feed))
            {
                _awaited.TryRemove(gone, out _);
                feeds.Release(feed.Value);
            }
        }

        _applied = applied;
    }

    public void ConfigurationLoaded(IReadOnlyList<IProxyConfig> proxyConfigs)
    {
        // What is loaded is not in force yet.
    }

    public void ConfigurationLoadingFailed(IProxyConfigProvider configProvider, Exception exception)
    {
        // The configuration before it stays in force.
    }

    public void ConfigurationApplyingFailed(IReadOnlyList<IProxyConfig> proxyConfigs, Exception exception)
    {
        // The configuration before it stays in force.
    }
}
