using System.Net;
using Discovery.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>
/// Decides which addresses this application advertises: what is set explicitly, else what Kestrel is bound to, with
/// wildcards replaced by an address of this machine. What cannot be dialled from elsewhere is never advertised.
/// </summary>
internal sealed partial class EndpointResolver(
    LocalAddresses local, IReadOnlyList<Uri> etcd, EndpointNames names, EndpointProtocols protocols, ILogger logger)
{
    private const string Settings = "Etcd:Registration";

    private readonly HostSelector _hosts = new(local, etcd);

    /// <inheritdoc cref="HostSelector.IsProvisional"/>
    public bool IsProvisional => _hosts.IsProvisional;

    /// <summary>What the server's own endpoints speak, whatever is advertised for them.</summary>
    public IReadOnlyList<(string Name, string? Protocols)> Spoken { get; private set; } = [];

    /// <inheritdoc cref="HostSelector.Chosen"/>
    public IReadOnlyList<IPAddress> Chosen => _hosts.Chosen;

    /// <summary>Resolves the endpoints to advertise.</summary>
    /// <param name="options">The settings, validated.</param>
    /// <param name="bound">The addresses that the server is bound to, as it reports them.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="InvalidOperationException">Nothing can be advertised; says why, and which setting helps.</exception>
    public async Task<IReadOnlyList<AdvertisedEndpoint>> ResolveAsync(
        EtcdRegistrationOptions options, IReadOnlyCollection<string> bound, CancellationToken cancellationToken)
    {
        var addresses = bound.Select(Parse).OfType<BindingAddress>().ToList();
        var named = addresses.Zip(names.Match(addresses), (address, name) => (Address: address, Name: name, Protocols: protocols.Of(address, name))).ToList();
        Spoken = [.. named.Select(static n => (n.Name, n.Protocols))];
        if (options.AdvertisedUrls.Count > 0)
        {
            return Complete(options, options.AdvertisedUrls.Select((url, i) => FromUrl(options, $"AdvertisedUrls:{i}", name: null, url)));
        }

        var found = new List<AdvertisedEndpoint>();
        var problems = new List<string>();
        var onAdvertisedPort = 0;
        foreach (var (address, name, spoken) in named)
        {
            options.Endpoints.TryGetValue(name, out var endpoint);
            if (endpoint is { Enabled: false })
            {
                continue;
            }

            if (spoken == "")
            {
                Log.OnlyHttp3(logger, address.ToString());
                continue;
            }

            try
            {
                if (endpoint?.AdvertisedUrl is { Length: > 0 } url)
                {
                    var advertised = FromUrl(options, $"Endpoints:{name}:AdvertisedUrl", name, url);

                    // Behind another scheme stands a proxy, which speaks what it likes.
                    var isSameScheme = advertised.Scheme.Equals(address.Scheme, StringComparison.OrdinalIgnoreCase);
                    found.Add(advertised with { Protocols = isSameScheme ? spoken : null });
                    continue;
                }

                var host = options.AdvertisedHost is { } set
                    ? Checked(options, nameof(options.AdvertisedHost), set, set.Trim('[', ']'))
                    : await _hosts.ChooseAsync(options, address, cancellationToken).ConfigureAwait(false);
                onAdvertisedPort += options.AdvertisedPort is null ? 0 : 1;
                found.Add(new AdvertisedEndpoint(name, address.Scheme.ToLowerInvariant(), host, options.AdvertisedPort ?? address.Port)
                {
                    Protocols = spoken,
                });
            }
            catch (InvalidOperationException e)
            {
                problems.Add(e.Message);
            }
        }

        if (onAdvertisedPort > 1)
        {
            throw new InvalidOperationException(
                $"{Settings}:AdvertisedPort is '{options.AdvertisedPort}', but {onAdvertisedPort} endpoints are bound "
                + $"({string.Join(", ", addresses)}): one port cannot stand for all. Set {Settings}:AdvertisedUrls to the URL of each instead, "
                + $"e.g. http://10.0.0.1:{options.AdvertisedPort}.");
        }

        if (found.Count == 0 && problems.Count > 0)
        {
            throw new InvalidOperationException(string.Join(" ", problems));
        }

        if (_hosts.IsOutsidePreferred)
        {
            Log.OutsidePreferred(logger, string.Join(", ", options.PreferredNetworks), string.Join(", ", Chosen.Distinct()));
        }

        problems.ForEach(problem => Log.EndpointSkipped(logger, problem));
        return Complete(options, found);
    }

    private List<AdvertisedEndpoint> Complete(EtcdRegistrationOptions options, IEnumerable<AdvertisedEndpoint> endpoints)
    {
        var distinct = endpoints.DistinctBy(static e => (e.Host, e.Port)).ToList();

        // However local etcd looks from here, others may share it: a forwarded port, a gateway and a tunnel all look local.
        if (options.AllowLoopback != true && distinct.FindAll(static e => LoopbackHost.Is(e.Host)) is { Count: > 0 } local)
        {
            Log.LoopbackAdvertised(logger, string.Join(", ", local.Select(static e => $"{e.Host}:{e.Port}")));
        }

        return distinct;
    }

    private AdvertisedEndpoint FromUrl(EtcdRegistrationOptions options, string setting, string? name, string url)
    {
        var uri = new Uri(url);
        return new AdvertisedEndpoint(name ?? uri.Scheme, uri.Scheme, Checked(options, setting, url, uri.DnsSafeHost), uri.Port) { IsShared = true };
    }

    private string Checked(EtcdRegistrationOptions options, string setting, string value, string host)
        => _hosts.GetProblem(options, setting, value, host) is { } problem ? throw new InvalidOperationException(problem) : host;

    private BindingAddress? Parse(string text)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(text);
        }
        catch (FormatException e)
        {
            // Only a server other than Kestrel tells what it does not understand itself.
            Log.EndpointSkipped(logger, e.Message);
            return null;
        }

        if (address.IsUnixPipe || address.IsNamedPipe)
        {
            Log.SocketSkipped(logger, text);
            return null;
        }

        if (address.Port == 0)
        {
            // A port that the server was to choose, and did not: it does not listen.
            Log.EndpointSkipped(logger, $"'{text}' has no port.");
            return null;
        }

        return address;
    }

    private static partial class Log
    {
        [LoggerMessage(2751, LogLevel.Information, "The endpoint {Address} is a socket of this machine and is not registered.")]
        public static partial void SocketSkipped(ILogger logger, string address);

        [LoggerMessage(2752, LogLevel.Warning, "An endpoint is not registered: {Problem}")]
        public static partial void EndpointSkipped(ILogger logger, string problem);

        [LoggerMessage(2754, LogLevel.Information, "The endpoint {Address} speaks HTTP/3 alone, which clients do not use, and is not registered.")]
        public static partial void OnlyHttp3(ILogger logger, string address);

        [LoggerMessage(2755, LogLevel.Warning, "Etcd:Registration:PreferredNetworks is '{Networks}', in which this machine has no address; {Address} is "
            + "advertised. Name a network that it is in, as 10.0.0.0/8, or set Etcd:Registration:AdvertisedHost.")]
        public static partial void OutsidePreferred(ILogger logger, string networks, string address);

        [LoggerMessage(2753, LogLevel.Warning, "This application is advertised by {Addresses}, which clients on other machines take for "
            + "themselves. Listen on all addresses, as http://*:5000, and where this machine has several, set "
            + "Etcd:Registration:PreferredNetworks or AdvertisedHost. If all clients are on this machine, set Etcd:Registration:AllowLoopback to true.")]
        public static partial void LoopbackAdvertised(ILogger logger, string addresses);
    }
}
