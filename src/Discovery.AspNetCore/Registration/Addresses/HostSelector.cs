using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>Chooses the host by which others reach a bound address, and refuses those that they cannot dial.</summary>
internal sealed class HostSelector(LocalAddresses local, IReadOnlyList<Uri> etcd)
{
    private const string Settings = "Etcd:Registration";

    private readonly bool _etcdIsLocal = etcd.All(static e => e.IsLoopback);

    /// <summary>Whether a choice was made without a route towards etcd, which decides: another one may have to be made when there is one.</summary>
    public bool IsProvisional { get; private set; }

    /// <summary>Why a host that is set explicitly cannot be advertised, or <see langword="null"/> when it can.</summary>
    public string? GetProblem(EtcdRegistrationOptions options, string setting, string value, string host)
    {
        var isAddress = IPAddress.TryParse(host, out var ip);
        if (isAddress && IsLinkLocal(ip!))
        {
            return $"{Settings}:{setting} is '{value}', a link-local address, which clients never dial. Set it to an address or name that "
                + "others can dial, e.g. 10.0.0.1.";
        }

        var isLoopback = host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (isAddress && IPAddress.IsLoopback(ip!));
        return isLoopback && !MayBeLoopback(options)
            ? $"{Settings}:{setting} is '{value}', which is this machine only, while etcd is elsewhere ({string.Join(", ", etcd)}). Set it to "
                + $"what others can dial, or, if all clients are on this machine, {Settings}:AllowLoopback to true."
            : null;
    }

    /// <summary>Chooses.</summary>
    /// <exception cref="InvalidOperationException">Others cannot dial the address; says which setting helps.</exception>
    public async Task<string> ChooseAsync(EtcdRegistrationOptions options, BindingAddress bound, CancellationToken cancellationToken)
    {
        // Bound to localhost, Kestrel listens on both loopback addresses; the IPv4 one is understood by every client.
        var host = bound.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? "127.0.0.1" : bound.Host.Trim('[', ']');
        if (!IPAddress.TryParse(host, out var ip) || ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
        {
            // Bound to 0.0.0.0, nobody answers on IPv6; bound to [::] or any name, Kestrel answers on both.
            var ipv4Only = ip?.AddressFamily == AddressFamily.InterNetwork;
            ip = await ReplaceWildcardAsync(options, ipv4Only, cancellationToken).ConfigureAwait(false) ?? throw new InvalidOperationException(
                $"'{bound}' is bound to all addresses, and none of this machine's can be dialled by others. Set {Settings}:AdvertisedHost "
                + "to the address or name that can, e.g. 10.0.0.1.");
        }

        if (IsLinkLocal(ip))
        {
            throw new InvalidOperationException(
                $"'{bound}' is a link-local address, which clients never dial. Listen on http://*:{bound.Port}, or set "
                + $"{Settings}:AdvertisedHost to the address or name that others can dial, e.g. 10.0.0.1.");
        }

        if (IPAddress.IsLoopback(ip) && !MayBeLoopback(options))
        {
            throw new InvalidOperationException(
                $"'{bound}' can be reached from this machine only, while etcd is elsewhere ({string.Join(", ", etcd)}). Listen on "
                + $"http://*:{bound.Port}, or set {Settings}:AdvertisedUrls, or, if all clients are on this machine, "
                + $"{Settings}:AllowLoopback to true.");
        }

        return ip.ToString();
    }

    private static bool IsLinkLocal(IPAddress ip)
        => ip.IsIPv6LinkLocal || (ip.AddressFamily == AddressFamily.InterNetwork && ip.GetAddressBytes() is [169, 254, ..]);

    private bool MayBeLoopback(EtcdRegistrationOptions options) => options.AllowLoopback ?? _etcdIsLocal;

    private async Task<IPAddress?> ReplaceWildcardAsync(EtcdRegistrationOptions options, bool ipv4Only, CancellationToken cancellationToken)
    {
        bool Fits(IPAddress address)
            => (!ipv4Only || address.AddressFamily == AddressFamily.InterNetwork)
                && !IsLinkLocal(address)
                && (MayBeLoopback(options) || !IPAddress.IsLoopback(address));

        var all = local.All.Where(Fits).ToList();
        foreach (var network in options.PreferredNetworks.Select(IPNetwork.Parse))
        {
            if (all.Find(network.Contains) is { } preferred)
            {
                return preferred;
            }
        }

        var hasRoute = false;
        foreach (var endpoint in etcd)
        {
            var addresses = await local.TowardsAsync(endpoint, cancellationToken).ConfigureAwait(false);
            hasRoute |= addresses.Count > 0;
            if (addresses.FirstOrDefault(Fits) is { } address)
            {
                return address;
            }
        }

        IsProvisional |= !hasRoute;

        return all.Find(static a => !IPAddress.IsLoopback(a) && a.AddressFamily == AddressFamily.InterNetwork)
            ?? all.Find(static a => !IPAddress.IsLoopback(a));
    }
}
