namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Requests that <see cref="SocketsHttpHandler"/> would send again by itself. It repeats a request without a body, whatever the method, up to three times
/// where a connection by HTTP/1.1 ends without a byte of answer: the server may have closed it before the request came. But a server that took the
/// request and died looks the same, and the repeat finds nobody, as if nothing had been sent. A request with a body is never repeated, be the body empty.
/// </summary>
internal static class RepeatedRequests
{
    /// <summary>
    /// Whether a request would be repeated that must not be: its method is not idempotent (RFC 9110, section 9.2.2). By HTTP/2, which over TLS may still
    /// become HTTP/1.1, only what the server says that it has not seen is sent again.
    /// </summary>
    public static bool MustPrevent(HttpRequestMessage request)
        => request.Content is null && !IsIdempotent(request.Method) && RequestProtocol.WithoutTls(request) == InstanceProtocols.Http1;

    /// <summary>Adds a body of no bytes. On the wire that is the same: a request that could have a body names its length, 0, in any case.</summary>
    public static HttpContent AddBody(HttpRequestMessage request)
        => request.Content = new ByteArrayContent([]);

    /// <summary>Removes the body again.</summary>
    public static void RemoveBody(HttpRequestMessage request, HttpContent body)
    {
        try
        {
            if (request.Content == body)
            {
                request.Content = null;
            }
        }
        catch (ObjectDisposedException)
        {
            // Then nobody will send it again.
        }
    }

    /// <summary>CONNECT is not, but can have no body.</summary>
    private static bool IsIdempotent(HttpMethod method)
        => method == HttpMethod.Get || method == HttpMethod.Delete || method == HttpMethod.Put || method == HttpMethod.Head
            || method == HttpMethod.Options || method == HttpMethod.Trace || method == HttpMethod.Connect;
}
