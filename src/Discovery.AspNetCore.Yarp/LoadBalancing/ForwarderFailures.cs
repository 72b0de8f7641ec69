using System.Net.Sockets;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>Tells by the proxy's exceptions how a request failed. YARP has one error for all that goes wrong before response headers.</summary>
internal static class ForwarderFailures
{
    /// <summary>The outcome of a request for which no connection came about, so that nothing was sent; null for any other.</summary>
    public static CallOutcome? OfConnect(Exception? exception) => exception switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError }

            // What this machine lacks is not held against the instance.
            => InstanceDialer.IsLocal(exception.GetBaseException()) ? CallOutcome.Cancelled : CallOutcome.ConnectFailure,

        // SocketsHttpHandler.ConnectTimeout. What the proxy cancels itself has no such cause.
        OperationCanceledException { InnerException: TimeoutException } => CallOutcome.ConnectFailure,
        _ => null,
    };

    /// <summary>
    /// Whether the peer has closed a connection of HTTP/1.1 to which a body was being written: what servers do with one that is too large, after
    /// a 413 that <see cref="SocketsHttpHandler"/> then does not read; and those that break. HTTP/2 ends a stream, and tells why.
    /// </summary>
    /// <param name="exception">The error of the body first, and then that of the request.</param>
    public static bool IsClosedOnBody(Exception? exception)
        => exception is AggregateException { InnerException: IOException { InnerException: SocketException } };
}
