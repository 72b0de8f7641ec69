namespace Discovery.AspNetCore.Connections;

/// <summary>The scheme that a request is sent by. A WebSocket begins as a request of HTTP, but its URI says <c>ws</c> or <c>wss</c>.</summary>
internal static class RequestScheme
{
    /// <returns><c>http</c> or <c>https</c>, or whatever else the URI has.</returns>
    public static string Of(HttpRequestMessage request) => request.RequestUri!.Scheme switch
    {
        "ws" => Uri.UriSchemeHttp,
        "wss" => Uri.UriSchemeHttps,
        var scheme => scheme,
    };

    public static bool IsTls(HttpRequestMessage request) => Of(request) == Uri.UriSchemeHttps;
}
