using System.Net;
using System.Net.Sockets;

namespace Discovery.TestKit;

/// <summary>
/// Ports for processes that cannot be told to choose one. They lie below the range that outgoing connections use, so that none of those
/// takes a port between its choice and its use, or while its owner is being restarted.
/// </summary>
public static class FreePort
{
    private const int First = 12_000;
    private const int Last = 32_000;

    /// <summary>A port that nothing listens on.</summary>
    public static int Next()
    {
        while (true)
        {
            var port = Random.Shared.Next(First, Last);
            try
            {
                using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // In use: another one.
            }
        }
    }
}
