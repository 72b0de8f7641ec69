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
    LocalAddresses local,
    IReadOnlyList<Uri> etcd,
    IReadOnlyList<ChosenAddress> earlier,
    EndpointNames names,
    EndpointProtocols protocols,
    ILogger logger,
    bool isDevelopment = false)
{
    private const string Settings = "Etcd:Registration";

    private readonly HostSelector _hosts = new(local, etcd, earlier);
    private readonly List<BoundEndpoint> _leftOutAsPrivate = [];

    /// <inheritdoc cref="HostSelector.IsProvisional"/>
    public bool IsProvisional => _hosts.IsProvisional;

    /// <summary>The server's own endpoints, whatever is advertised for them.</summary>
    public IReadOnlyList<BoundEndpoint> Bound { get; private set; } = [];

    /// <summary>Why endpoints are not registered, in sentences; none when the server has no network address at all.</summary>
    public IReadOnlyList<string> LeftOut { get; private set; } = [];

    /// <summary>Those of <see cref="Bound"/> that are taken for ones that are not for clients, and that no setting names.</summary>
    public IReadOnlyList<BoundEndpoint> LeftOutAsPrivate => _leftOutAsPrivate;

    /// <inheritdoc cref="HostSelector.Chosen"/>
    public IReadOnlyList<ChosenAddress> Chosen => _hosts.Chosen;

    /// <inheritdoc cref="HostSelector.IsAwaited"/>
    public bool IsAwaited(IPAddress address) => _hosts.IsAwaited(address);

    /// <summary>Resolves the endpoints to advertise.</summary>
    /// <param name="options">The settings, validated.</param>
    /// <param name="bound">The addresses that the server is bound to, as it reports them.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="InvalidOperationException">Nothing can be advertised; says why, and which setting helps.</exception>
    public async Task<IReadOnlyList<AdvertisedEndpoint>> ResolveAsync(
        EtcdRegistrationOptions options, IReadOnlyCollection<string> bound, CancellationToken cancellationToken)
    {
        var addresses = bound.Select(Parse).OfType<BindingAddress>().ToList();
        var dialled = addresses.FindAll(static a => !IsSocket(a));
        Bound = [.. dialled.Zip(names.Match(dialled), (address, name) => new BoundEndpoint(name, address, protocols.Of(address, name)))];
        if (options.AdvertisedUrls.Count > 0)
        {
            return Complete(options, options.AdvertisedUrls.Select((url, i) => FromUrl(options, $"AdvertisedUrls:{i}", name: null, url)));
        }

        var found = new List<AdvertisedEndpoint>();
        var onAdvertisedPort = new List<BindingAddress>();
        var leftOut = new List<string>();
        var problems = new List<string>();
        foreach (var endpoint in Bound)
        {
            var isPrivate = endpoint.IsPrivate(addresses.Count == 1, Bound);
            if (GetReasonToLeaveOut(options, endpoint, isPrivate) is { } reason)
            {
                leftOut.Add(reason);
                continue;
            }

            try
            {
                var url = options.Endpoints.TryGetValue(endpoint.Name, out var set) ? set.AdvertisedUrl : null;
                var advertised = url is null
                    ? await AdvertiseAsync(options, endpoint, cancellationToken).ConfigureAwait(false)
                    : FromUrl(options, endpoint, url);
                found.Add(advertised with { IsPrivate = isPrivate });
                onAdvertisedPort.AddRange(url is null ? [endpoint.Address] : []);
            }
            catch (InvalidOperationException e)
            {
                problems.Add(e.Message);
            }
        }

        LeftOut = Bound.Count == 0 ? [] : [.. problems, .. leftOut, .. addresses.Where(IsSocket).Select(static a => $"{a} is a socket of this machine.")];
        if (options.AdvertisedPort is not null && onAdvertisedPort.Count > 1)
        {
            throw new InvalidOperationException(
                $"{Settings}:AdvertisedPort is '{options.AdvertisedPort}', but {onAdvertisedPort.Count} endpoints are bound "
                + $"({string.Join(", ", onAdvertisedPort)}): one port cannot stand for all. Set {Settings}:AdvertisedUrls "
                + $"to the URL of each instead, e.g. http://10.0.0.1:{options.AdvertisedPort}.");
        }

        if (found.Count == 0 && problems.Count > 0)
        {
            throw new InvalidOperationException(string.Join(" ", LeftOut));
        }

        found = await MarkAlternativesAsync(options, found, cancellationToken).ConfigureAwait(false);
        if (_hosts.IsOutsidePreferred)
        {
            Log.OutsidePreferred(logger, string.Join(", ", options.PreferredNetworks), string.Join(", ", Chosen.Select(static c => c.Address).Distinct()));
        }

        problems.ForEach(problem => Log.EndpointSkipped(logger, problem));
        return Complete(options, found);
    }

    /// <summary>How to have an endpoint registered that is left out as not for clients.</summary>
    public string GetRemedy(BoundEndpoint endpoint)

        // Of those that go by their scheme, a setting by name would mean all.
        => Bound.Count(e => e.Name.Equals(endpoint.Name, StringComparison.OrdinalIgnoreCase)) > 1
            ? $"To register it, give it a name of its own, e.g. by Kestrel:Endpoints:Web:Url, and set {Settings}:Endpoints:<name>:Enabled to true."
            : $"Set {Settings}:Endpoints:{endpoint.Name}:Enabled to true to register it, or to false to say that this is right.";

    private string? GetReasonToLeaveOut(EtcdRegistrationOptions options, BoundEndpoint endpoint, bool isPrivate)
    {
        if (options.Endpoints.TryGetValue(endpoint.Name, out var set) && !set.Enabled)
        {
            return $"{endpoint} is switched off by {Settings}:Endpoints:{endpoint.Name}:Enabled.";
        }

        if (endpoint.Protocols == "")
        {
            Log.OnlyHttp3(logger, endpoint.Address.ToString());
            return $"{endpoint} speaks HTTP/3 alone.";
        }

        if (isPrivate && !EndpointSelector.IsNamed(options, endpoint.Name))
        {
            _leftOutAsPrivate.Add(endpoint);
            Log.PrivateEndpoint(logger, endpoint.ToString(), GetRemedy(endpoint));
            return $"{endpoint} is taken for one that is not for clients.";
        }

        return null;
    }

    private async Task<AdvertisedEndpoint> AdvertiseAsync(EtcdRegistrationOptions options, BoundEndpoint endpoint, CancellationToken cancellationToken)
    {
        var (name, address, spoken) = endpoint;
        var host = options.AdvertisedHost is { } set
            ? Checked(options, nameof(options.AdvertisedHost), set, set.Trim('[', ']'))
            : await _hosts.ChooseAsync(options, address, cancellationToken).ConfigureAwait(false);
        return new AdvertisedEndpoint(name, address.Scheme.ToLowerInvariant(), host, options.AdvertisedPort ?? address.Port) { Protocols = spoken };
    }

    /// <summary>Finds those that one port has on several addresses, and marks all but the one to register, or those that the settings name.</summary>
    private async Task<List<AdvertisedEndpoint>> MarkAlternativesAsync(
        EtcdRegistrationOptions options, List<AdvertisedEndpoint> found, CancellationToken cancellationToken)
    {
        var alternatives = new HashSet<AdvertisedEndpoint>();
        foreach (var alike in found.Where(static e => e is { IsPrivate: false, IsShared: false }).GroupBy(static e => (e.Port, e.Scheme, e.Protocols)))
        {
            var hosts = alike.Select(static e => e.Host).Distinct().ToList();
            if (hosts.Count > 1)
            {
                var host = alike.Any(e => options.Endpoints.ContainsKey(e.Name))
                    ? null
                    : await _hosts.ChooseBetweenAsync(options, hosts, cancellationToken).ConfigureAwait(false);
                alternatives.UnionWith(alike.Where(e => e.Host != host));
            }
        }

        return [.. found.Select(e => alternatives.Contains(e) ? e with { IsAlternative = true } : e)];
    }

    private List<AdvertisedEndpoint> Complete(EtcdRegistrationOptions options, IEnumerable<AdvertisedEndpoint> endpoints)
    {
        // What several have in common, as the URL of a proxy, is one address for each service; which of them serve it differs.
        var distinct = endpoints.Distinct().ToList();

        // However local etcd looks from here, others may share it: a forwarded port, a gateway and a tunnel all look local.
        if (options.AllowLoopback != true && distinct.FindAll(static e => LoopbackHost.Is(e.Host)) is { Count: > 0 } local)
        {
            // On a developer's machine launch profiles bind loopback, and clients run there too.
            var addresses = string.Join(", ", local.Select(static e => e.Address).Distinct());
            Log.LoopbackAdvertised(logger, isDevelopment ? LogLevel.Information : LogLevel.Warning, addresses);
        }

        return distinct;
    }

    private AdvertisedEndpoint FromUrl(EtcdRegistrationOptions options, string setting, string? name, string url)
    {
        var uri = new Uri(url);
        return new AdvertisedEndpoint(name ?? uri.Scheme, uri.Scheme, Checked(options, setting, url, uri.DnsSafeHost), uri.Port) { IsShared = true };
    }

    private AdvertisedEndpoint FromUrl(EtcdRegistrationOptions options, BoundEndpoint endpoint, string url)
    {
        var advertised = FromUrl(options, $"Endpoints:{endpoint.Name}:AdvertisedUrl", endpoint.Name, url);

        // Behind another scheme stands a proxy, which speaks what it likes.
        var isSameScheme = advertised.Scheme.Equals(endpoint.Address.Scheme, StringComparison.OrdinalIgnoreCase);
        return advertised with { Protocols = isSameScheme ? endpoint.Protocols : null };
    }

    private string Checked(EtcdRegistrationOptions options, string setting, string value, string host)
        => _hosts.GetProblem(options, setting, value, host) is { } problem ? throw new InvalidOperationException(problem) : host;

    private static bool IsSocket(BindingAddress address) => address.IsUnixPipe || address.IsNamedPipe;

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

        if (IsSocket(address))
        {
            Log.SocketSkipped(logger, text);
            return address;
        }

        if (!address.Scheme.Equals(Uri.UriSchemeHttp, StringComparison.OrdinalIgnoreCase) && !address.Scheme.Equals(Uri.UriSchemeHttps, StringComparison.OrdinalIgnoreCase))
        {
            // A server other than Kestrel may also listen for what clients of services do not speak.
            Log.EndpointSkipped(logger, $"the scheme of '{text}' is neither http nor https.");
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
        [LoggerMessage(2742, LogLevel.Information, "The endpoint {Endpoint} is taken for one that is not for clients, and is not registered. {Remedy}")]
        public static partial void PrivateEndpoint(ILogger logger, string endpoint, string remedy);

        [LoggerMessage(2751, LogLevel.Information, "The endpoint {Address} is a socket of this machine and is not registered.")]
        public static partial void SocketSkipped(ILogger logger, string address);

        [LoggerMessage(2752, LogLevel.Warning, "An endpoint is not registered: {Problem}")]
        public static partial void EndpointSkipped(ILogger logger, string problem);

        [LoggerMessage(2754, LogLevel.Information, "The endpoint {Address} speaks HTTP/3 alone, which clients do not use, and is not registered.")]
        public static partial void OnlyHttp3(ILogger logger, string address);

        [LoggerMessage(2755, LogLevel.Warning, "Etcd:Registration:PreferredNetworks is '{Networks}', in which this machine has no address; {Address} is "
            + "advertised. Name a network that it is in, as 10.0.0.0/8, or set Etcd:Registration:AdvertisedHost.")]
        public static partial void OutsidePreferred(ILogger logger, string networks, string address);

        [LoggerMessage(EventId = 2753, Message = "This application is advertised by {Addresses}, which clients on other machines take for "
            + "themselves. Listen on all addresses, as http://*:5000, and where this machine has several, set "
            + "Etcd:Registration:PreferredNetworks or AdvertisedHost. If all clients are on this machine, set Etcd:Registration:AllowLoopback to true.")]
        public static partial void LoopbackAdvertised(ILogger logger, LogLevel level, string addresses);
    }
}
