using System.Net;
using System.Net.Sockets;
using Discovery.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>Chooses the host by which others reach a bound address, and refuses those that they cannot dial.</summary>
/// <param name="local">The machine's addresses.</param>
/// <param name="etcd">etcd's endpoints.</param>
/// <param name="earlier">
/// What was chosen before and the machine lost, the earliest first: one that it has again is chosen again. Provisional ones only where there is
/// still no route that decides, and these also when they were not lost: what is advertised stays.
/// </param>
internal sealed class HostSelector(LocalAddresses local, IReadOnlyList<Uri> etcd, IReadOnlyList<ChosenAddress> earlier)
{
    private const string Settings = "Etcd:Registration";

    private const string Wildcard = "*";

    // Documentation networks: nothing is sent to them, and the system's routing table answers with the default route.
    private static readonly Uri[] Elsewhere = [new("http://198.51.100.1:9"), new("http://[2001:db8::1]:9")];

    private readonly bool _etcdIsLocal = etcd.All(LoopbackHost.Is);
    private readonly List<ChosenAddress> _chosen = [];
    private readonly List<Func<IPAddress, bool>> _awaited = [];

    /// <summary>
    /// Whether another look may find something better: there was no route towards etcd, or none outwards where etcd is reached by loopback,
    /// which decides, or nothing but loopback.
    /// </summary>
    public bool IsProvisional { get; private set; }

    /// <summary>The machine's addresses that were chosen for endpoints that are bound to all of them, or to several.</summary>
    public IReadOnlyList<ChosenAddress> Chosen => _chosen;

    /// <summary>Whether an address was chosen for a wildcard though the preferred networks have none of this machine's.</summary>
    public bool IsOutsidePreferred { get; private set; }

    /// <summary>Whether an address that the machine did not have would have been chosen before what was.</summary>
    public bool IsAwaited(IPAddress address) => _awaited.Exists(isAwaited => isAwaited(address));

    /// <summary>Why a host that is set explicitly cannot be advertised, or <see langword="null"/> when it can.</summary>
    public string? GetProblem(EtcdRegistrationOptions options, string setting, string value, string host)
    {
        if (IPAddress.TryParse(host, out var ip) && IsLinkLocal(ip))
        {
            return $"{Settings}:{setting} is '{value}', a link-local address, which clients never dial. Set it to an address or name that "
                + "others can dial, e.g. 10.0.0.1.";
        }

        return LoopbackHost.Is(host) && !MayBeLoopback(options)
            ? $"{Settings}:{setting} is '{value}', which is this machine only, while etcd is elsewhere ({string.Join(", ", etcd)}). Set it to "
                + $"what others can dial, or, if all clients are on this machine, {Settings}:AllowLoopback to true."
            : null;
    }

    /// <summary>Chooses.</summary>
    /// <exception cref="InvalidOperationException">Others cannot dial the address; says which setting helps.</exception>
    public async Task<string> ChooseAsync(EtcdRegistrationOptions options, BindingAddress bound, CancellationToken cancellationToken)
    {
        // Bound to localhost or a name below it, Kestrel listens on both loopback addresses; the IPv4 one is understood by every client.
        var host = LoopbackHost.IsName(bound.Host) ? "127.0.0.1" : bound.Host.Trim('[', ']');
        if (!IPAddress.TryParse(host, out var ip) || ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
        {
            // Bound to 0.0.0.0, nobody answers on IPv6; bound to [::] or any name, Kestrel answers on both.
            var ipv4Only = ip?.AddressFamily == AddressFamily.InterNetwork;
            (var replacement, var isProvisional) = await ReplaceWildcardAsync(options, ipv4Only, cancellationToken).ConfigureAwait(false);
            IsProvisional |= isProvisional;
            ip = replacement ?? throw new InvalidOperationException(
                $"'{bound}' is bound to all addresses, and none of this machine's can be dialled by others. Set {Settings}:AdvertisedHost "
                + "to the address or name that can, e.g. 10.0.0.1.");
            _chosen.Add(new(Wildcard, ip, isProvisional));
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

    /// <summary>
    /// Chooses between addresses that the server is bound to, of those that the machine still has, as it would for one that is bound to all: the
    /// first where nothing decides.
    /// </summary>
    public async Task<string> ChooseBetweenAsync(EtcdRegistrationOptions options, IReadOnlyList<string> hosts, CancellationToken cancellationToken)
    {
        var among = string.Join(' ', hosts);
        var lost = Earlier(among, isProvisional: false);
        var bound = hosts.Select(IPAddress.Parse).ToList();
        var told = local.TryGetAll();
        var present = bound.FindAll(address => told?.Contains(address) ?? !lost.Contains(address));
        if (present.Count == 0 && lost.FindLast(bound.Contains) is { } latest)
        {
            // All of them are away, and one is as good as another until the first is back.
            _awaited.Add(bound.Contains);
            return latest.ToString();
        }

        // The server is bound to them, so the machine has some that it does not tell of, such as 127.0.0.2.
        var candidates = present.Count > 0 ? present : bound;
        var networks = options.PreferredNetworks.Select(IPNetwork.Parse).ToList();
        List<IPAddress> routes = [];
        IPAddress? Decide(List<IPAddress> addresses)
            => networks.Select(network => addresses.Find(network.Contains)).FirstOrDefault(static a => a is not null)
                ?? lost.Concat(routes).FirstOrDefault(addresses.Contains);

        var isProvisional = false;
        if (Decide(candidates) is null)
        {
            routes = await RoutesAsync(etcd, cancellationToken).ConfigureAwait(false);
            isProvisional = routes.Count == 0;
            if (!isProvisional && Decide(candidates) is null)
            {
                routes.AddRange(await RoutesAsync(Elsewhere, cancellationToken).ConfigureAwait(false));
            }
        }

        var chosen = Decide(candidates) ?? candidates[0];
        IsProvisional |= isProvisional;
        if (present.Count > 0)
        {
            _chosen.Add(new(among, chosen, isProvisional));
        }

        var awaited = bound.Except(candidates).ToList().FindAll(absent =>
        {
            var withIt = bound.FindAll(address => address.Equals(absent) || candidates.Contains(address));
            return absent.Equals(Decide(withIt) ?? withIt[0]);
        });
        _awaited.Add(awaited.Contains);
        return chosen.ToString();
    }

    private static bool IsLinkLocal(IPAddress ip)
        => ip.IsIPv6LinkLocal || (ip.AddressFamily == AddressFamily.InterNetwork && ip.GetAddressBytes() is [169, 254, ..]);

    private bool MayBeLoopback(EtcdRegistrationOptions options) => options.AllowLoopback ?? _etcdIsLocal;

    private async Task<(IPAddress? Address, bool IsProvisional)> ReplaceWildcardAsync(
        EtcdRegistrationOptions options, bool ipv4Only, CancellationToken cancellationToken)
    {
        bool Fits(IPAddress address)
            => (!ipv4Only || address.AddressFamily == AddressFamily.InterNetwork)
                && !IsLinkLocal(address)
                && (MayBeLoopback(options) || !IPAddress.IsLoopback(address));

        // The interfaces are asked for only where they decide: some sandboxes do not tell them.
        var lost = Earlier(Wildcard, isProvisional: false);
        if (options.PreferredNetworks.Count > 0 || lost.Count > 0)
        {
            var candidates = local.All.Where(Fits).ToList();
            foreach (var network in options.PreferredNetworks.Select(IPNetwork.Parse))
            {
                if (candidates.Find(network.Contains) is { } preferred)
                {
                    return (preferred, false);
                }

                _awaited.Add(address => Fits(address) && network.Contains(address));
            }

            IsOutsidePreferred |= options.PreferredNetworks.Count > 0;
            if (lost.FirstOrDefault(candidates.Contains) is { } again)
            {
                return (again, false);
            }

            _awaited.Add(address => Fits(address) && lost.Contains(address));
        }

        // A loopback route says only how etcd is reached, by a forwarded port for example, not where the clients are.
        bool IsOutward(IPAddress address) => Fits(address) && !IPAddress.IsLoopback(address);
        var towardsEtcd = await RoutesAsync(etcd, cancellationToken).ConfigureAwait(false);
        if (towardsEtcd.Find(IsOutward) is { } route)
        {
            return (route, false);
        }

        if (towardsEtcd.Count > 0 && (await RoutesAsync(Elsewhere, cancellationToken).ConfigureAwait(false)).Find(IsOutward) is { } outwards)
        {
            return (outwards, false);
        }

        // In the order in which the system tells them an interface may come before another from one look to the next: what was chosen stays.
        var all = local.All.Where(Fits).ToList();
        var reachable = all.FindAll(IsOutward);
        var ipv4 = reachable.FindAll(static a => a.AddressFamily == AddressFamily.InterNetwork);
        var best = ipv4.Count > 0 ? ipv4 : reachable;
        return (Earlier(Wildcard, isProvisional: true).Find(best.Contains) ?? best.FirstOrDefault() ?? towardsEtcd.Find(Fits) ?? all.FirstOrDefault(), true);
    }

    private List<IPAddress> Earlier(string among, bool isProvisional)
        => [.. earlier.Where(e => e.Among == among && e.IsProvisional == isProvisional).Select(static e => e.Address)];

    /// <summary>The addresses of all routes, in the order of the hosts. They are asked for at a time, for a name may take its limit to resolve.</summary>
    private async Task<List<IPAddress>> RoutesAsync(IReadOnlyList<Uri> remotes, CancellationToken cancellationToken)
        => [.. (await Task.WhenAll(remotes.Select(remote => local.TowardsAsync(remote, cancellationToken))).ConfigureAwait(false)).SelectMany(static a => a)];
}
