using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>
/// Decides which addresses this application advertises: what is set explicitly, else what Kestrel is bound to, with
/// wildcards replaced by an address of this machine. What cannot be dialled from elsewhere is never advertised.
/// </summary>
internal sealed partial class EndpointResolver(
    LocalAddresses local, IReadOnlyList<Uri> etcd, EndpointNames names, ILogger logger)
{
    private const string Settings = "Etcd:Registration";

    private readonly HostSelector _hosts = new(local, etcd);

    /// <summary>Whether another look may come to something else, for this machine has no route towards etcd yet.</summary>
    public bool IsProvisional => _hosts.IsProvisional;

    /// <summary>Resolves the endpoints to advertise.</summary>
    /// <param name="options">The settings, validated.</param>
    /// <param name="bound">The addresses that the server is bound to, as it reports them.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="InvalidOperationException">Nothing can be advertised; says why, and which setting helps.</exception>
    public async Task<IReadOnlyList<AdvertisedEndpoint>> ResolveAsync(
        EtcdRegistrationOptions options, IReadOnlyCollection<string> bound, CancellationToken cancellationToken)
    {
        if (options.AdvertisedUrls.Count > 0)
        {
            return Distinct(options.AdvertisedUrls.Select((url, i) => FromUrl(options, $"AdvertisedUrls:{i}", name: null, url)));
        }

        var found = new List<AdvertisedEndpoint>();
        var problems = new List<string>();
        var onAdvertisedPort = 0;
        var addresses = bound.Select(Parse).OfType<BindingAddress>().ToList();
        foreach (var (address, name) in addresses.Zip(names.Match(addresses)))
        {
            options.Endpoints.TryGetValue(name, out var endpoint);
            if (endpoint is { Enabled: false })
            {
                continue;
            }

            try
            {
                if (endpoint?.AdvertisedUrl is { Length: > 0 } url)
                {
                    found.Add(FromUrl(options, $"Endpoints:{name}:AdvertisedUrl", name, url));
                    continue;
                }

                var host = options.AdvertisedHost is { } set
                    ? Checked(options, nameof(options.AdvertisedHost), set, set.Trim('[', ']'))
                    : await _hosts.ChooseAsync(options, address, cancellationToken).ConfigureAwait(false);
                onAdvertisedPort += options.AdvertisedPort is null ? 0 : 1;
                found.Add(new AdvertisedEndpoint(name, address.Scheme.ToLowerInvariant(), host, options.AdvertisedPort ?? address.Port));
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

        problems.ForEach(problem => Log.EndpointSkipped(logger, problem));
        return Distinct(found);
    }

    private static IReadOnlyList<AdvertisedEndpoint> Distinct(IEnumerable<AdvertisedEndpoint> endpoints)
        => [.. endpoints.DistinctBy(static e => (e.Host, e.Port))];

    private AdvertisedEndpoint FromUrl(EtcdRegistrationOptions options, string setting, string? name, string url)
    {
        var uri = new Uri(url);
        return new AdvertisedEndpoint(name ?? uri.Scheme, uri.Scheme, Checked(options, setting, url, uri.DnsSafeHost), uri.Port);
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
    }
}
