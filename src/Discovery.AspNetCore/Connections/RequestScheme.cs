namespace Discovery.AspNetCore.Connections;

/// <summary>The scheme that a request is sent by. A WebSocket begins as a request of HTTP, but its URI says <c>ws</c> or <c>wss</c>.</summary>
internal static class RequestScheme
{
    /// <returns><c>http</c> or <c>https</c>.</returns>
    /// <exception cref="NotSupportedException">It is none of these, such as <c>https+http</c>, which Microsoft.Extensions.ServiceDiscovery has.</exception>
    public static string Of(HttpRequestMessage request) => request.RequestUri!.Scheme switch
    {
        "http" or "ws" => Uri.UriSchemeHttp,
        "https" or "wss" => Uri.UriSchemeHttps,
        var scheme => throw new NotSupportedException(
            $"Calls by discovery go by http or https, and the address '{request.RequestUri}' has the scheme '{scheme}'. Leave out the client's base "
            + "address and set Etcd:Discovery:Scheme, or set the base address to http://<service> or https://<service>."),
    };

    public static bool IsTls(HttpRequestMessage request) => Of(request) == Uri.UriSchemeHttps;
}
