using System.Globalization;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>The routes and clusters of one revision. Immutable.</summary>
internal sealed class EtcdProxyConfig(long revision, IReadOnlyList<RouteConfig> routes, IReadOnlyList<ClusterConfig> clusters) : IProxyConfig
{
    private readonly CancellationTokenSource _replaced = new();

    public string RevisionId { get; } = revision.ToString(CultureInfo.InvariantCulture);

    public IReadOnlyList<RouteConfig> Routes => routes;

    public IReadOnlyList<ClusterConfig> Clusters => clusters;

    public IChangeToken ChangeToken => new CancellationChangeToken(_replaced.Token);

    /// <summary>The same without some ids.</summary>
    public EtcdProxyConfig Without(IReadOnlySet<string> routeIds, IReadOnlySet<string> clusterIds) => new(
        revision, [.. routes.Where(r => !routeIds.Contains(r.RouteId))], [.. clusters.Where(c => !clusterIds.Contains(c.ClusterId))]);

    /// <summary>Whether another one has the very same routes and clusters.</summary>
    public bool HasSame(EtcdProxyConfig other) => routes.SequenceEqual(other.Routes) && clusters.SequenceEqual(other.Clusters);

    /// <summary>Tells the proxy that there is a newer one. Asynchronously, for it reads all of its configuration in the callback.</summary>
    public void OnReplaced() => _ = _replaced.CancelAsync();
}
