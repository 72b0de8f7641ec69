using System.Net.Sockets;
using System.Security.Authentication;

namespace Discovery.AspNetCore.Connections;

/// <summary>The kinds of failures to connect: values of the tag <c>error.type</c>.</summary>
internal static class ConnectErrors
{
    public const string Timeout = "timeout";

    public static string TypeOf(InstanceConnectException failure) => failure.InnerException is { } cause ? TypeOf(cause) : Timeout;

    public static string TypeOf(Exception cause) => cause switch
    {
        OperationCanceledException => Timeout,
        AuthenticationException => "tls",
        ObjectDisposedException => "left",
        SocketException socket => TypeOf(socket.SocketErrorCode),
        _ when cause.InnerException is SocketException socket => TypeOf(socket.SocketErrorCode),
        _ => "other",
    };

    private static string TypeOf(SocketError error) => error switch
    {
        SocketError.ConnectionRefused => "connection_refused",
        SocketError.ConnectionReset or SocketError.ConnectionAborted => "connection_reset",
        SocketError.TimedOut => Timeout,
        SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostDown or SocketError.NetworkDown => "unreachable",
        SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData => "name_resolution",
        SocketError.AddressNotAvailable or SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable => "local",
        _ => "other",
    };
}
