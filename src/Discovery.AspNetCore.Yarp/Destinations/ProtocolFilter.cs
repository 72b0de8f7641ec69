using System.Collections.Concurrent;
using System.Net;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>
/// Leaves out of each cluster the destinations that do not speak the version of HTTP that it sends, as an application's gRPC port does not speak
/// HTTP/1.1. Only a filter knows both: the proxy resolves destinations without saying for which cluster, and runs filters afterwards.
/// </summary>
internal sealed partial class ProtocolFilter(ILogger<EtcdDiscoveryOptions> logger) : IProxyConfigFilter
{
    /// <summary>The clusters of which it has been said that none of their destinations fits.</summary>
    private readonly ConcurrentDictionary<string, bool> _said = new(StringComparer.OrdinalIgnoreCase);

    public ValueTask<ClusterConfig> ConfigureClusterAsync(ClusterConfig cluster, CancellationToken cancel)
    {
        if (cluster.Destinations is not { Count: > 0 } all)
        {
            return new(cluster);
        }

        // What the proxy sends where the cluster does not say.
        var sent = RequestProtocol.WithoutTls(
            cluster.HttpRequest?.Version ?? HttpVersion.Version20, cluster.HttpRequest?.VersionPolicy ?? HttpVersionPolicy.RequestVersionOrLower);
        var fitting = all.Where(d => Speaks(d.Value, sent)).ToDictionary(StringComparer.OrdinalIgnoreCase);
        if (fitting.Count > 0)
        {
            _said.TryRemove(cluster.ClusterId, out _);
            return new(fitting.Count == all.Count ? cluster : cluster with { Destinations = fitting });
        }

        // A wrong record is one reason more to call them all the same. It is no warning: the keys of a server's ports come one by one.
        if (_said.TryAdd(cluster.ClusterId, true))
        {
            if (sent == InstanceProtocols.Http1)
            {
                Log.OnlyHttp2(logger, cluster.ClusterId);
            }
            else
            {
                Log.OnlyHttp1(logger, cluster.ClusterId);
            }
        }

        return new(cluster);
    }

    public ValueTask<RouteConfig> ConfigureRouteAsync(RouteConfig route, ClusterConfig? cluster, CancellationToken cancel) => new(route);

    /// <summary>Over TLS the two agree on a version; and where nothing is known, the destination may speak it.</summary>
    private static bool Speaks(DestinationConfig destination, InstanceProtocols protocol)
        => destination.Address?.StartsWith("http:", StringComparison.OrdinalIgnoreCase) != true
            || InstanceMetadata.AsProtocols(destination.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Protocols)) is var spoken
                && (spoken == InstanceProtocols.Unspecified || (spoken & protocol) != InstanceProtocols.Unspecified);

    private static partial class Log
    {
        [LoggerMessage(4111, LogLevel.Information, "The proxy sends HTTP/1.1 to the cluster '{Cluster}', and all of its destinations speak HTTP/2 alone so far. If that "
            + "is to stay so, set the cluster's HttpRequest:Version to 2 and HttpRequest:VersionPolicy to RequestVersionExact.")]
        public static partial void OnlyHttp2(ILogger logger, string cluster);

        [LoggerMessage(4112, LogLevel.Information, "The proxy sends HTTP/2 to the cluster '{Cluster}', and all of its destinations speak HTTP/1.1 alone so far. If that "
            + "is to stay so, leave the cluster's HttpRequest:VersionPolicy out, or set the servers' Kestrel:Endpoints:<name>:Protocols of an endpoint to Http2.")]
        public static partial void OnlyHttp1(ILogger logger, string cluster);
    }
}
