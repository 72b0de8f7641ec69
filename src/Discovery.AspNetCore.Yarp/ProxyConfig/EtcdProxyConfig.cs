using System.Globalization;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>The routes and clusters of one revision. Immutable.</summary>
/// <param name="revision">The revision.</param>
/// <param name="routes">The routes.</param>
/// <param name="clusters">The clusters.</param>
/// <param name="replaced">Tells that there is a newer one.</param>
internal sealed class EtcdProxyConfig(
    long revision, IReadOnlyList<RouteConfig> routes, IReadOnlyList<ClusterConfig> clusters, CancellationToken replaced = default) : IProxyConfig
{
    public string RevisionId { get; } = revision.ToString(CultureInfo.InvariantCulture);

    public IReadOnlyList<RouteConfig> Routes => routes;

    public IReadOnlyList<ClusterConfig> Clusters => clusters;

    public IChangeToken ChangeToken { get; } = new CancellationChangeToken(replaced);

    /// <summary>The same without the ids that others have.</summary>
    public EtcdProxyConfig Without(OtherIds others, CancellationToken whenReplaced) => new(
        revision,
        [.. routes.Where(r => !others.Routes.Contains(r.RouteId))],
        [.. clusters.Where(c => !others.Clusters.Contains(c.ClusterId))],
        whenReplaced);

    /// <summary>Whether another one has the very same routes and clusters.</summary>
    public bool HasSame(EtcdProxyConfig other) => routes.SequenceEqual(other.Routes) && clusters.SequenceEqual(other.Clusters);
}
