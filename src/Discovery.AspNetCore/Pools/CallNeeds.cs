using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Pools;

/// <summary>What a call needs of its instance.</summary>
/// <param name="Scheme">The request's.</param>
/// <param name="Protocol">The version of HTTP it is sent by, or unspecified where TLS negotiates it.</param>
/// <param name="Version">The version of the service that the call asks for.</param>
internal readonly record struct CallNeeds(string Scheme, InstanceProtocols Protocol, string? Version)
{
    public bool IsHttps => Scheme == Uri.UriSchemeHttps;

    public static CallNeeds Of(HttpRequestMessage request, string? version)
    {
        var scheme = RequestScheme.Of(request);
        return new CallNeeds(scheme, ProtocolOf(request, scheme == Uri.UriSchemeHttps), version);
    }

    private static InstanceProtocols ProtocolOf(HttpRequestMessage request, bool isTls)
    {
        if (!isTls)
        {
            return RequestProtocol.WithoutTls(request);
        }

        var isHttp2 = request.Version.Major >= 2;
        return request.VersionPolicy switch
        {
            HttpVersionPolicy.RequestVersionOrLower when isHttp2 => InstanceProtocols.Unspecified,
            HttpVersionPolicy.RequestVersionOrHigher when !isHttp2 => InstanceProtocols.Unspecified,
            _ => isHttp2 ? InstanceProtocols.Http2 : InstanceProtocols.Http1,
        };
    }
}
