using System.Net.Sockets;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Has the system find out that a machine is gone. It asks nothing of the server's protocol, whereas HTTP/2 pings break connections to
/// servers that allow few of them.
/// </summary>
internal static class SocketSettings
{
    /// <summary>After this much silence the system asks the other side's.</summary>
    private const int KeepAliveSeconds = 20;

    private const int ProbeSeconds = 5;

    private const int Probes = 2;

    /// <summary>How long sent data may stay unacknowledged; without it a call on a dead connection fails after 15 minutes.</summary>
    private const int UserTimeoutMilliseconds = 30_000;

    private const int LinuxTcpLevel = 6;

    private const int LinuxTcpUserTimeout = 18;

    public static void Apply(Socket socket)
    {
        socket.NoDelay = true;
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveSeconds);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, ProbeSeconds);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);
            if (OperatingSystem.IsLinux())
            {
                socket.SetRawSocketOption(LinuxTcpLevel, LinuxTcpUserTimeout, BitConverter.GetBytes(UserTimeoutMilliseconds));
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ProtocolOption or SocketError.OperationNotSupported)
        {
            // An older system has not all of them. Calls work without.
        }
    }
}
