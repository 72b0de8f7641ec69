using System.Net;
using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Keeps requests off HTTP/3: its connections go round what dials the instance, to whatever the host of the request's URI resolves to,
/// with neither balancing nor address filter.
/// </summary>
internal static class HttpVersions
{
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
