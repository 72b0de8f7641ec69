using System.Collections.Immutable;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>All documents below a prefix. Used by one loop.</summary>
internal sealed partial class ProxyDocuments
{
    private readonly string _prefix;
    private readonly ILogger _logger;
    private readonly DocumentFolder<RouteConfig> _routes;
    private readonly DocumentFolder<ClusterConfig> _clusters;
    private ImmutableSortedDictionary<string, ClusterConfig> _usableClusters = ImmutableSortedDictionary<string, ClusterConfig>.Empty;
    private ImmutableHashSet<string> _ignored = [];

    public ProxyDocuments(string prefix, DocumentCheck check, ILogger logger)
    {
        _prefix = prefix;
        _logger = logger;
        _clusters = new DocumentFolder<ClusterConfig>($"{prefix}clusters/", DocumentReader.ReadCluster, check.FindProblemAsync, logger);
        _routes = new DocumentFolder<RouteConfig>(
            $"{prefix}routes/",
            DocumentReader.ReadRoute,
            (route, stop) => check.FindProblemAsync(route, _usableClusters.GetValueOrDefault(route.ClusterId ?? ""), stop),
            logger);
    }

    /// <summary>What of the prefix' state the proxy can use.</summary>
    public async Task<EtcdProxyConfig> ReadAsync(EtcdPrefixSnapshot snapshot, CancellationToken cancellationToken)
    {
        SayIgnored(snapshot);

        // Clusters first, for filters see a route together with its cluster.
        _usableClusters = await _clusters.UpdateAsync(snapshot.Items, cancellationToken).ConfigureAwait(false);
        var routes = await _routes.UpdateAsync(snapshot.Items, cancellationToken).ConfigureAwait(false);
        return new EtcdProxyConfig(snapshot.Revision, [.. routes.Values], [.. _usableClusters.Values]);
    }

    private void SayIgnored(EtcdPrefixSnapshot snapshot)
    {
        var ignored = snapshot.Items.Keys.Where(key => !_clusters.Has(key) && !_routes.Has(key)).ToImmutableHashSet(StringComparer.Ordinal);
        var unsaid = ignored.Except(_ignored);
        _ignored = ignored;
        if (!unsaid.IsEmpty)
        {
            Log.Ignored(_logger, unsaid.Count, _prefix, ForeignText.Show(unsaid.First()));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4106, LogLevel.Warning, "{Count} keys are ignored because they begin neither with {Prefix}routes/ nor with {Prefix}clusters/, e.g. {Key}.")]
        public static partial void Ignored(ILogger logger, int count, string prefix, string key);
    }
}
