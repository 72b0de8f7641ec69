using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>The addresses by which this machine can be reached.</summary>
internal class LocalAddresses
{
    /// <summary>All unicast addresses of interfaces that are up, in the system's order.</summary>
    public virtual IEnumerable<IPAddress> All
        => NetworkInterface.GetAllNetworkInterfaces()
            .Where(static n => n.OperationalStatus == OperationalStatus.Up)
            .SelectMany(static n => n.GetIPProperties().UnicastAddresses)
            .Select(static a => a.Address);

    /// <summary>
    /// The addresses that this machine uses towards a remote one, IPv4 first, for that is what every client understands; none when there
    /// is no route. Connecting a datagram socket asks the system's routing table and sends nothing.
    /// </summary>
    public virtual async Task<IReadOnlyList<IPAddress>> TowardsAsync(Uri remote, CancellationToken cancellationToken)
    {
        var found = new List<IPAddress>();
        try
        {
            var addresses = await Dns.GetHostAddressesAsync(remote.DnsSafeHost, cancellationToken).ConfigureAwait(false);
            foreach (var address in addresses.OrderByDescending(static a => a.AddressFamily == AddressFamily.InterNetwork))
            {
                try
                {
                    using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
                    await socket.ConnectAsync(new IPEndPoint(address, remote.Port), cancellationToken).ConfigureAwait(false);
                    if (socket.LocalEndPoint is IPEndPoint local)
                    {
                        found.Add(local.Address.IsIPv4MappedToIPv6 ? local.Address.MapToIPv4() : local.Address);
                    }
                }
                catch (SocketException)
                {
                    // No route by this address, or its family is switched off; another one may do.
                }
            }
        }
        catch (SocketException)
        {
            // The name of this etcd endpoint does not resolve; another endpoint's may.
        }

        return found;
    }
}
