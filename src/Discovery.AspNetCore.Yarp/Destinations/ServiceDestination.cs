using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore.Layouts;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Destinations;

/// <summary>A destination that stands for a service, as the proxy's configuration has it.</summary>
/// <param name="Name">The destination's name.</param>
/// <param name="Config">The destination.</param>
/// <param name="ServiceName">The service in etcd.</param>
/// <param name="EndpointName">The name of the Kestrel endpoint, or null for any.</param>
/// <param name="Schemes">The schemes that the address asks for; empty if it does not say.</param>
/// <param name="Path">What is put before the paths of requests; empty or with a slash in front.</param>
internal sealed record ServiceDestination(
    string Name, DestinationConfig Config, string ServiceName, string? EndpointName, IReadOnlyList<string> Schemes, string Path)
{
    private const string Separator = "://";

    /// <summary>
    /// Reads <c>etcd://greeter</c>, <c>etcd+https://greeter/path</c>, <c>etcd://_grpc.greeter</c>, and any address with
    /// <see cref="EtcdDestinationMetadata.Service"/>. Addresses are read as text: a <see cref="Uri"/> loses the case of a name.
    /// </summary>
    public static bool TryRead(string name, DestinationConfig config, [NotNullWhen(true)] out ServiceDestination? destination)
    {
        destination = null;
        var text = config.Address ?? "";
        var end = text.IndexOf(Separator, StringComparison.Ordinal);
        var scheme = end < 0 ? "" : text[..end].ToLowerInvariant();
        var rest = end < 0 ? text : text[(end + Separator.Length)..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var host = slash < 0 ? rest : rest[..slash];
        var path = slash < 0 ? "" : rest[slash..].TrimEnd('/');
        if (config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Service) is { Length: > 0 } service)
        {
            destination = new ServiceDestination(name, config, service, null, SchemesOf(scheme), path);
            return true;
        }

        if (scheme is not ("etcd" or "etcd+http" or "etcd+https"))
        {
            return false;
        }

        string? endpointName = null;
        if (host is ['_', ..] && host.IndexOf('.', StringComparison.Ordinal) is > 1 and var dot)
        {
            (endpointName, host) = (host[1..dot], host[(dot + 1)..]);
        }

        destination = new ServiceDestination(name, config, host, endpointName, SchemesOf(scheme), path);
        return true;
    }

    /// <summary>What is wrong with the name, or null.</summary>
    public string? GetProblem() => ServiceNames.GetProblem(ServiceName);

    private static IReadOnlyList<string> SchemesOf(string scheme) => scheme switch
    {
        "http" or "etcd+http" => [Uri.UriSchemeHttp],
        "https" or "etcd+https" => [Uri.UriSchemeHttps],
        _ => [],
    };
}
