namespace Discovery.AspNetCore.Connections;

/// <summary>The version of HTTP that a request is sent by.</summary>
internal static class RequestProtocol
{
    /// <summary>Without TLS nothing is negotiated: "or lower" is sent as HTTP/1.1, and "or higher" as it stands.</summary>
    public static InstanceProtocols WithoutTls(HttpRequestMessage request)
        => WithoutTls(request.Version, request.VersionPolicy);

    /// <summary>The same by a version and what may become of it.</summary>
    public static InstanceProtocols WithoutTls(Version version, HttpVersionPolicy policy)
        => version.Major >= 2 && policy != HttpVersionPolicy.RequestVersionOrLower ? InstanceProtocols.Http2 : InstanceProtocols.Http1;
}
