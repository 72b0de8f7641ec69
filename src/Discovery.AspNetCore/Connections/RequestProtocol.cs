namespace Discovery.AspNetCore.Connections;

/// <summary>The version of HTTP that a request is sent by.</summary>
internal static class RequestProtocol
{
    /// <summary>Without TLS nothing is negotiated: "or lower" is sent as HTTP/1.1, and "or higher" as it stands.</summary>
    public static InstanceProtocols WithoutTls(HttpRequestMessage request)
        => request.Version.Major >= 2 && request.VersionPolicy != HttpVersionPolicy.RequestVersionOrLower ? InstanceProtocols.Http2 : InstanceProtocols.Http1;
}
