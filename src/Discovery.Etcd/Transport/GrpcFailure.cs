using System.Net.Sockets;
using System.Security.Authentication;
using Discovery.Etcd.Tls;

namespace Discovery.Etcd.Transport;

/// <summary>Tells what an exception of the HTTP stack means for a call.</summary>
internal static class GrpcFailure
{
    /// <summary>
    /// Whether the network is to blame. The HTTP stack lets more through than its own exceptions when a connection breaks at a bad moment:
    /// socket errors, disposed streams, and cancellations that nobody asked for.
    /// </summary>
    /// <param name="exception">What was thrown.</param>
    /// <param name="cancellationToken">The caller's own wish to end.</param>
    public static bool IsOfTheNetwork(Exception exception, CancellationToken cancellationToken) =>
        exception is HttpRequestException or IOException or SocketException or ObjectDisposedException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    /// <summary>The failure of the call.</summary>
    public static GrpcException Translate(Exception exception) =>
        new(EtcdStatusCode.Unavailable, Describe(exception), GrpcFailureKind.Connection, exception);

    private static string Describe(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case SocketException socket:
                    return $"{socket.Message.ToLowerInvariant()} ({socket.SocketErrorCode})";
                case OperationCanceledException:
                    return "the connection was given up";
                case TlsFilesException:
                    return e.Message;
                case AuthenticationException:
                    return $"TLS failed: {(e.InnerException ?? e).Message}";
                case HttpProtocolException protocol:
                    return $"HTTP/2 error {protocol.ErrorCode}";
            }
        }

        return exception is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.VersionNegotiationError }
            ? "the peer does not speak HTTP/2 there"
            : exception.GetBaseException().Message;
    }
}
