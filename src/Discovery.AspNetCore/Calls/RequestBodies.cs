using System.Net.Sockets;
using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Tells a request's body that could not be read at its source, such as a file, an upload that breaks off, or another service, from a connection
/// that could not be written to. To a handler both are the same exceptions; but a connection's failure has a socket's as its cause, or is one of HTTP
/// itself, and our own failures to connect are known.
/// </summary>
internal static class RequestBodies
{
    /// <summary>Whether a call failed because of its own body. Where that cannot be told, it did not.</summary>
    public static bool HasFailed(Exception exception, HttpRequestMessage request)
    {
        if (request.Content is null)
        {
            return false;
        }

        for (var e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case InstanceConnectException or HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError }:
                    // Of a call that the source makes.
                    return true;
                case HttpIOException or SocketException:
                    return false;
                case InvalidOperationException:
                    // It is disposed, or was read before, by an attempt that was answered.
                case HttpRequestException { StatusCode: not null }:
                    // Another service refused what was to be sent on.
                case HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: null }:
                    // The body ended before or after the length that it has said.
                case IOException when e.GetType() != typeof(IOException):
                    return true;
                case IOException { InnerException: null }:
                    // Over TLS a connection that breaks off within a record is such an exception too.
                    return !RequestScheme.IsTls(request);
            }
        }

        return false;
    }

    /// <summary>
    /// The same while the answer is read, which may have begun before the body ended. Whatever the connection or the server does to a stream of HTTP/2
    /// is told as the cause; one that ends without was ended because of its own request.
    /// </summary>
    public static bool HasFailed(Exception exception, HttpResponseMessage response)
        => response is { Version.Major: 2, RequestMessage.Content: not null }
            && exception is IOException { InnerException: null }
            && exception.GetType() == typeof(IOException);
}
