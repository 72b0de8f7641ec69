using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>
/// Finds out whether the proxy would refuse a route or a cluster. It refuses all that it has been given along with it, and a filter that
/// throws counts as a refusal.
/// </summary>
internal sealed class DocumentCheck(IConfigValidator validator, IEnumerable<IProxyConfigFilter> filters)
{
    private readonly IProxyConfigFilter[] _filters = [.. filters];

    /// <summary>What is wrong with a route; null if nothing is.</summary>
    public async Task<string?> FindProblemAsync(RouteConfig route, ClusterConfig? cluster, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var filter in _filters)
            {
                route = await filter.ConfigureRouteAsync(route, cluster, cancellationToken).ConfigureAwait(false);
            }

            return Describe(await validator.ValidateRouteAsync(route).ConfigureAwait(false));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return e.Message;
        }
    }

    /// <summary>What is wrong with a cluster; null if nothing is.</summary>
    public async Task<string?> FindProblemAsync(ClusterConfig cluster, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var filter in _filters)
            {
                cluster = await filter.ConfigureClusterAsync(cluster, cancellationToken).ConfigureAwait(false);
            }

            return Describe(await validator.ValidateClusterAsync(cluster).ConfigureAwait(false));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return e.Message;
        }
    }

    private static string? Describe(IList<Exception> problems)
        => problems.Count == 0 ? null : string.Join(' ', problems.Select(static p => p.Message));
}
