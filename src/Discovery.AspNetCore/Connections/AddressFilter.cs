using System.Globalization;
using System.Net;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Where a record may lead. Whoever can write into the directory could otherwise make this process call whatever it can reach, such as
/// the metadata service of the cloud it runs in.
/// </summary>
internal sealed class AddressFilter
{
    /// <summary>
    /// Refused unless allowed explicitly: "this" network, link-local with the usual metadata address, multicast, and where clouds have
    /// their metadata or control services elsewhere: Alibaba, Azure (WireServer), Oracle, AWS and Google over IPv6.
    /// </summary>
    private static readonly IPNetwork[] Refused =
    [
        IPNetwork.Parse("0.0.0.0/8"),
        IPNetwork.Parse("169.254.0.0/16"),
        IPNetwork.Parse("100.100.100.200/32"),
        IPNetwork.Parse("168.63.129.16/32"),
        IPNetwork.Parse("192.0.0.192/32"),
        IPNetwork.Parse("224.0.0.0/3"),
        IPNetwork.Parse("::/128"),
        IPNetwork.Parse("fe80::/10"),
        IPNetwork.Parse("fd00:ec2::254/128"),
        IPNetwork.Parse("fd20:ce::254/128"),
        IPNetwork.Parse("ff00::/8"),
    ];

    private readonly bool _isTrusted;
    private readonly IPNetwork[] _networks;
    private readonly (int Least, int Most)[] _ports;
    private readonly bool _allowsLoopback;

    /// <summary>Reads the settings, which must be valid.</summary>
    /// <param name="options">The settings.</param>
    /// <param name="isSourceLocal">
    /// Whether the records come from this machine. A loopback address is another machine for each reader, so a record with one is either
    /// an accident or an attempt to reach what listens here for nobody else, unless all are on one machine.
    /// </param>
    public AddressFilter(EtcdDiscoveryOptions options, bool isSourceLocal = false)
    {
        _allowsLoopback = options.AllowLoopback || isSourceLocal;
        // Whoever writes the settings may write any address; the lists below are for addresses that others wrote.
        _isTrusted = options.Instances.Count > 0;
        _networks = [.. options.AllowedNetworks.Select(IPNetwork.Parse)];
        _ports = [.. options.AllowedPorts.Select(static text => TryParsePorts(text, out var range) ? range : throw new FormatException(text))];
    }

    /// <summary>Whether a port may be dialled.</summary>
    public bool Allows(int port) => _ports.Length == 0 || Array.Exists(_ports, range => port >= range.Least && port <= range.Most);

    /// <summary>Whether an address may be dialled.</summary>
    public bool Allows(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return _networks.Length > 0
            ? Array.Exists(_networks, network => network.Contains(plain))
            : _isTrusted || (!IsRefused(plain) && (EmbeddedAddress.Of(plain) is not { } embedded || !IsRefused(embedded)));
    }

    /// <summary>Whether an instance may be dialled, as far as its record tells; the addresses of a name are checked when it is dialled.</summary>
    public bool Allows(ServiceInstance instance)
        => Allows(instance.Port) && (!IPAddress.TryParse(instance.Host, out var address) || Allows(address));

    /// <summary>Reads <c>5000</c> or <c>8000-8999</c>.</summary>
    public static bool TryParsePorts(string? text, out (int Least, int Most) range)
    {
        var parts = (text ?? "").Split('-', 2, StringSplitOptions.TrimEntries);
        range = default;
        if (!TryParsePort(parts[0], out var least))
        {
            return false;
        }

        var most = least;
        if (parts.Length == 2 && !TryParsePort(parts[1], out most))
        {
            return false;
        }

        range = (least, most);
        return least <= most;
    }

    private bool IsRefused(IPAddress address)
        => IPAddress.IsLoopback(address) ? !_allowsLoopback : Array.Exists(Refused, network => network.Contains(address));

    private static bool TryParsePort(string text, out int port)
        => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= ushort.MaxValue;
}
