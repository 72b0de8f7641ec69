using System.Net.Sockets;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.Net.Client.Responses;

/// <summary>Turns failures of the transport into statuses.</summary>
internal static class TransportErrors
{
    public static Status ToStatus(string summary, Exception exception)
        => new(CodeOf(exception), $"{summary} {MessageErrors.Describe(exception)}", exception);

    /// <summary>The status of a channel that could not connect by itself, or null where the failure is another.</summary>
    public static Status? ToConnectStatus(Exception exception)
        => exception is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError }
            ? new Status(StatusCode.Unavailable, "Error connecting to subchannel.", exception.InnerException)
            : null;

    public static StatusCode CodeOf(Exception exception)
    {
        StatusCode? reset = null;
        var unavailable = false;
        for (var current = exception; current is not null; current = current.InnerException)
        {
            if (current is HttpProtocolException protocol)
            {
                reset = FromResetCode(protocol.ErrorCode);
            }
            else
            {
                unavailable |= current is SocketException or IOException;
            }
        }

        return reset ?? (unavailable ? StatusCode.Unavailable : StatusCode.Internal);
    }

    // The table of gRPC's PROTOCOL-HTTP2.md; what is not listed is Internal.
    private static StatusCode FromResetCode(long errorCode) => errorCode switch
    {
        0x7 => StatusCode.Unavailable,
        0x8 => StatusCode.Cancelled,
        0xb => StatusCode.ResourceExhausted,
        0xc => StatusCode.PermissionDenied,
        _ => StatusCode.Internal,
    };
}
