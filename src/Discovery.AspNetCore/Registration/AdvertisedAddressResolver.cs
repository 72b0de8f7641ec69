using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Decides by which addresses others are told to reach this application: what is set explicitly, else what Kestrel is bound to, with
/// wildcards replaced by an address of this machine. What cannot be dialled from elsewhere is never advertised.
/// </summary>
internal sealed partial class AdvertisedAddressResolver(
    LocalAddresses local, IReadOnlyList<Uri> etcd, EndpointNames names, ILogger logger)
{
    private const string Settings = "Etcd:Registration";

    private readonly bool _etcdIsLocal = etcd.All(static e => e.IsLoopback);

    /// <summary>Resolves the endpoints to advertise.</summary>
    /// <param name="options">The settings, validated.</param>
    /// <param name="bound">The addresses that the server is bound to, as it tells them.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="InvalidOperationException">Nothing can be advertised; says why, and which setting helps.</exception>
    public async Task<IReadOnlyList<AdvertisedEndpoint>> ResolveAsync(
        EtcdRegistrationOptions options, IReadOnlyCollection<string> bound, CancellationToken cancellationToken)
    {
        if (options.AdvertisedUrls.Count > 0)
        {
            return [.. options.AdvertisedUrls.Select(static url => FromUrl(name: null, url))];
        }

        var found = new List<AdvertisedEndpoint>();
        var problems = new List<string>();
        foreach (var text in bound)
        {
            var address = BindingAddress.Parse(text);
            if (address.IsUnixPipe || address.IsNamedPipe)
            {
                Log.SocketSkipped(logger, text);
                continue;
            }

            var name = names.Match(address);
            options.Endpoints.TryGetValue(name, out var endpoint);
            if (endpoint is { Enabled: false })
            {
                continue;
            }

            if (endpoint?.AdvertisedUrl is { Length: > 0 } url)
            {
                found.Add(FromUrl(name, url));
                continue;
            }

            try
            {
                var host = options.AdvertisedHost ?? await ChooseHostAsync(options, text, address, cancellationToken);
                found.Add(new AdvertisedEndpoint(name, address.Scheme.ToLowerInvariant(), host, options.AdvertisedPort ?? address.Port));
            }
            catch (InvalidOperationException e)
            {
                problems.Add(e.Message);
            }
        }

        if (options.AdvertisedPort is { } port && found.Count > 1)
        {
            throw new InvalidOperationException(
                $"{Settings}:AdvertisedPort is '{port}', but {found.Count} endpoints are bound ({string.Join(", ", bound)}): one port "
                + $"cannot stand for all. Set {Settings}:AdvertisedUrls to the URL of each instead, e.g. http://10.0.0.1:{port}.");
        }

        foreach (var problem in problems)
        {
            if (found.Count == 0)
            {
                throw new InvalidOperationException(string.Join(" ", problems));
            }

            Log.EndpointSkipped(logger, problem);
        }

        return [.. found.DistinctBy(static e => (e.Host, e.Port))];
    }

    private static AdvertisedEndpoint FromUrl(string? name, string url)
    {
        var uri = new Uri(url);
        return new AdvertisedEndpoint(name ?? uri.Scheme, uri.Scheme, uri.DnsSafeHost, uri.Port);
    }

    private async Task<string> ChooseHostAsync(
        EtcdRegistrationOptions options, string text, BindingAddress address, CancellationToken cancellationToken)
    {
        var host = address.Host.Trim('[', ']');
        var isIp = IPAddress.TryParse(host, out var ip);
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            // Kestrel listens on both loopback addresses then; the IPv4 one is understood by every client.
            ip = IPAddress.Loopback;
            isIp = true;
        }

        var isWildcard = !isIp || ip!.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any);
        if (isWildcard)
        {
            // Bound to 0.0.0.0, nobody answers on IPv6; bound to [::] or any name, Kestrel answers on both.
            ip = await ReplaceWildcardAsync(options, ipv4Only: isIp && ip!.AddressFamily == AddressFamily.InterNetwork, cancellationToken)
                ?? throw new InvalidOperationException(
                    $"'{text}' is bound to all addresses, and none of this machine's is reachable for others. Set {Settings}:AdvertisedHost "
                    + "to the address or name that others can dial, e.g. 10.0.0.1.");
        }

        if (IPAddress.IsLoopback(ip!) && !(options.AllowLoopback ?? _etcdIsLocal))
        {
            throw new InvalidOperationException(
                $"'{text}' can be reached from this machine only, while etcd is elsewhere ({string.Join(", ", etcd)}). Listen on "
                + $"http://*:{address.Port.ToString(CultureInfo.InvariantCulture)}, or set {Settings}:AdvertisedUrls, or, if all clients are "
                + $"on this machine, {Settings}:AllowLoopback to true.");
        }

        return ip!.ToString();
    }

    private async Task<IPAddress?> ReplaceWildcardAsync(EtcdRegistrationOptions options, bool ipv4Only, CancellationToken cancellationToken)
    {
        bool Fits(IPAddress address) => !ipv4Only || address.AddressFamily == AddressFamily.InterNetwork;

        var all = local.All.Where(Fits).ToList();
        foreach (var network in options.PreferredNetworks.Select(IPNetwork.Parse))
        {
            if (all.Find(network.Contains) is { } preferred)
            {
                return preferred;
            }
        }

        foreach (var endpoint in etcd)
        {
            if (await local.TowardsAsync(endpoint, cancellationToken) is { } address && Fits(address))
            {
                return address;
            }
        }

        return all.Find(static a => !IPAddress.IsLoopback(a) && !a.IsIPv6LinkLocal);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The endpoint {Address} is a socket of this machine and is not registered.")]
        public static partial void SocketSkipped(ILogger logger, string address);

        [LoggerMessage(2, LogLevel.Warning, "An endpoint is not registered: {Problem}")]
        public static partial void EndpointSkipped(ILogger logger, string problem);
    }
}
