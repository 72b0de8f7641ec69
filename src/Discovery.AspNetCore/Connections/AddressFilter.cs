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

    private readonly bool _isSourceLocal;
    private volatile Rules _rules;

    /// <summary>Reads the settings, which must be valid.</summary>
    /// <param name="options">The settings.</param>
    /// <param name="isSourceLocal">
    /// Whether the records come from this machine. A loopback address is another machine for each reader, so a record with one is either
    /// an accident or an attempt to reach what listens here for nobody else, unless all are on one machine.
    /// </param>
    public AddressFilter(EtcdDiscoveryOptions options, bool isSourceLocal = false)
    {
        _isSourceLocal = isSourceLocal;
        _rules = Read(options);
    }

    /// <summary>Goes by changed settings, which must be valid, from now on.</summary>
    public void Apply(EtcdDiscoveryOptions options) => _rules = Read(options);

    /// <summary>Whether a port may be dialled.</summary>
    public bool Allows(int port) => _rules.Ports is var ports && (ports.Length == 0 || Array.Exists(ports, range => port >= range.Least && port <= range.Most));

    /// <summary>Whether an address may be dialled.</summary>
    public bool Allows(IPAddress address)
    {
        var rules = _rules;
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return rules.Networks.Length > 0
            ? Array.Exists(rules.Networks, network => network.Contains(plain))
            : rules.AreTrusted || (!IsRefused(plain, rules) && (EmbeddedAddress.Of(plain) is not { } embedded || !IsRefused(embedded, rules)));
    }

    /// <summary>
    /// Whether an instance may be dialled, as far as its record tells; the addresses of other names than localhost are checked when they
    /// are dialled.
    /// </summary>
    public bool Allows(ServiceInstance instance)
        => Allows(instance.Port) && (IPAddress.TryParse(instance.Host, out var address) ? Allows(address)
            : !LoopbackHost.Is(instance.Host) || Allows(IPAddress.Loopback) || Allows(IPAddress.IPv6Loopback));

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

    private static bool IsRefused(IPAddress address, Rules rules)
        => IPAddress.IsLoopback(address) ? !rules.AllowLoopback : Array.Exists(Refused, network => network.Contains(address));

    private static bool TryParsePort(string text, out int port)
        => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= ushort.MaxValue;

    private Rules Read(EtcdDiscoveryOptions options) => new(
        // Whoever writes the settings may write any address; the lists are for addresses that others wrote.
        AreTrusted: options.Instances.Count > 0,
        AllowLoopback: options.AllowLoopback || _isSourceLocal,
        Networks: [.. options.AllowedNetworks.Select(IPNetwork.Parse)],
        Ports: [.. options.AllowedPorts.Select(static text => TryParsePorts(text, out var range) ? range : throw new FormatException(text))]);

    private sealed record Rules(bool AreTrusted, bool AllowLoopback, IPNetwork[] Networks, (int Least, int Most)[] Ports);
}
