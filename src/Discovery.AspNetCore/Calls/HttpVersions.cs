using System.Net;
using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Calls;

/// <summary>By which version of HTTP a request is sent.</summary>
internal static class HttpVersions
{
    /// <summary>
    /// Handlers that hedge send clones, and those of Microsoft.Extensions.Http.Resilience have the version of HTTP but not its policy. Without TLS the
    /// default policy makes HTTP/1.1 of HTTP/2, which no gRPC call can be sent by.
    /// </summary>
    public static void RestorePolicy(HttpRequestMessage request)
    {
        if (request.VersionPolicy == HttpVersionPolicy.RequestVersionOrLower
            && TriedInstances.Of(request)?.Request is { } original
            && original != request
            && original.Version == request.Version)
        {
            request.VersionPolicy = original.VersionPolicy;
        }
    }

    /// <summary>
    /// Keeps a request off HTTP/3: its connections go round what dials the instance, to whatever the host of the request's URI resolves to,
    /// with neither balancing nor address filter.
    /// </summary>
    public static void KeepOffHttp3(HttpRequestMessage request)
    {
        if (request.Version.Major > 2)
        {
            request.Version = HttpVersion.Version20;
        }

        // A server may offer HTTP/3 in an answer (Alt-Svc), and "or higher" takes the offer. What is below HTTP/3 is agreed on by TLS.
        if (request.VersionPolicy == HttpVersionPolicy.RequestVersionOrHigher && RequestScheme.IsTls(request))
        {
            request.VersionPolicy = request.Version.Major == 2 ? HttpVersionPolicy.RequestVersionExact : HttpVersionPolicy.RequestVersionOrLower;
            request.Version = HttpVersion.Version20;
        }
    }
}
