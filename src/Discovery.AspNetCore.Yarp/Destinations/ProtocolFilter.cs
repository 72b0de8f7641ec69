using System.Net;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>
/// Leaves out of each cluster the destinations that do not speak the version of HTTP that it sends, as an application's gRPC port does not speak
/// HTTP/1.1. Only a filter knows both: the proxy resolves destinations without saying for which cluster, and runs filters afterwards.
/// </summary>
internal sealed partial class ProtocolFilter(
    [FromKeyedServices(EtcdServiceKeys.TimeProvider)] TimeProvider time, ILogger<EtcdDiscoveryOptions> logger) : IProxyConfigFilter, IDisposable
{
    /// <summary>How long none of a cluster's destinations may fit before that is said: the keys of a server's ports come one by one.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>The clusters of which none of the destinations fits, and what will say so, or has said it.</summary>
    private readonly Dictionary<string, ITimer> _unfit = new(StringComparer.OrdinalIgnoreCase);

    private readonly Lock _gate = new();

    public ValueTask<ClusterConfig> ConfigureClusterAsync(ClusterConfig cluster, CancellationToken cancel)
    {
        if (cluster.Destinations is not { Count: > 0 } all)
        {
            Fits(cluster.ClusterId);
            return new(cluster);
        }

        // What the proxy sends where the cluster does not say.
        var sent = RequestProtocol.WithoutTls(
            cluster.HttpRequest?.Version ?? HttpVersion.Version20, cluster.HttpRequest?.VersionPolicy ?? HttpVersionPolicy.RequestVersionOrLower);
        var fitting = all.Where(d => Speaks(d.Value, sent)).ToDictionary(StringComparer.OrdinalIgnoreCase);
        if (fitting.Count > 0)
        {
            Fits(cluster.ClusterId);
            return new(fitting.Count == all.Count ? cluster : cluster with { Destinations = fitting });
        }

        // A wrong record is one reason more to call them all the same.
        DoesNotFit(cluster.ClusterId, sent);
        return new(cluster);
    }

    public ValueTask<RouteConfig> ConfigureRouteAsync(RouteConfig route, ClusterConfig? cluster, CancellationToken cancel) => new(route);

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var timer in _unfit.Values)
            {
                timer.Dispose();
            }

            _unfit.Clear();
        }
    }

    /// <summary>Over TLS the two agree on a version; and where nothing is known, the destination may speak it.</summary>
    private static bool Speaks(DestinationConfig destination, InstanceProtocols protocol)
        => destination.Address?.StartsWith("http:", StringComparison.OrdinalIgnoreCase) != true
            || InstanceMetadata.AsProtocols(destination.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Protocols)) is var spoken
                && (spoken == InstanceProtocols.Unspecified || (spoken & protocol) != InstanceProtocols.Unspecified);

    private void Fits(string cluster)
    {
        lock (_gate)
        {
            if (_unfit.Remove(cluster, out var timer))
            {
                timer.Dispose();
            }
        }
    }

    private void DoesNotFit(string cluster, InstanceProtocols sent)
    {
        lock (_gate)
        {
            if (!_unfit.ContainsKey(cluster))
            {
                _unfit[cluster] = time.CreateTimer(_ => Warn(cluster, sent), state: null, Patience, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Warn(string cluster, InstanceProtocols sent)
    {
        lock (_gate)
        {
            if (!_unfit.ContainsKey(cluster))
            {
                return;
            }
        }

        if (sent == InstanceProtocols.Http1)
        {
            Log.OnlyHttp2(logger, cluster);
        }
        else
        {
            Log.OnlyHttp1(logger, cluster);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4111, LogLevel.Warning, "The proxy sends HTTP/1.1 to the cluster '{Cluster}', and all of its destinations speak HTTP/2 alone, so every request "
            + "fails. Set the cluster's HttpRequest:Version to 2 and HttpRequest:VersionPolicy to RequestVersionExact.")]
        public static partial void OnlyHttp2(ILogger logger, string cluster);

        [LoggerMessage(4112, LogLevel.Warning, "The proxy sends HTTP/2 to the cluster '{Cluster}', and all of its destinations speak HTTP/1.1 alone, so every request "
            + "fails. Leave the cluster's HttpRequest:VersionPolicy out, or set the servers' Kestrel:Endpoints:<name>:Protocols of an endpoint to Http2.")]
        public static partial void OnlyHttp1(ILogger logger, string cluster);
    }
}
