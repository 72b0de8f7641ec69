using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>The addresses by which this machine can be reached.</summary>
internal class LocalAddresses
{
    private static readonly TimeSpan ResolveLimit = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Task<IPAddress[]>> _resolving = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>All unicast addresses of interfaces that are up, in the system's order.</summary>
    public virtual IEnumerable<IPAddress> All
        => NetworkInterface.GetAllNetworkInterfaces()
            .Where(static n => n.OperationalStatus == OperationalStatus.Up)
            .SelectMany(static n => n.GetIPProperties().UnicastAddresses)
            .Select(static a => a.Address);

    /// <summary>The same as a set; null when the system does not tell.</summary>
    public HashSet<IPAddress>? TryGetAll()
    {
        try
        {
            return [.. All];
        }
        catch (NetworkInformationException)
        {
            return null;
        }
    }

    /// <summary>
    /// The addresses that this machine uses towards a remote one, IPv4 first, for that is what every client understands; none when there
    /// is no route. Connecting a datagram socket asks the system's routing table and sends nothing.
    /// </summary>
    public virtual async Task<IReadOnlyList<IPAddress>> TowardsAsync(Uri remote, CancellationToken cancellationToken)
    {
        var found = new List<IPAddress>();
        try
        {
            var addresses = await ResolveAsync(remote.DnsSafeHost).WaitAsync(ResolveLimit, cancellationToken).ConfigureAwait(false);
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
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            // The name of this etcd endpoint does not resolve, or not in time; another endpoint's may.
        }

        return found;
    }

    /// <summary>
    /// Resolves a name. Whoever does not wait for a slow answer leaves the question open for the next look, which asks no second time.
    /// </summary>
    private async Task<IPAddress[]> ResolveAsync(string host)
    {
        var resolving = _resolving.GetOrAdd(host, static h => Dns.GetHostAddressesAsync(h));
        try
        {
            return await resolving.ConfigureAwait(false);
        }
        finally
        {
            _resolving.TryRemove(new(host, resolving));
        }
    }
}
