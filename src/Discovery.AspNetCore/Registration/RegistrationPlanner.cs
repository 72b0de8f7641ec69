using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.Etcd;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>Turns settings into the desired registration, with what this application's server is bound to.</summary>
internal sealed partial class RegistrationPlanner(
    IServiceProvider services,
    IConfiguration configuration,
    Lazy<EtcdClient> client,
    LocalAddresses addresses,
    ILogger<IServiceRegistration> logger)
{
    private IReadOnlyList<string> _bound = [];
    private EtcdRegistrationOptions? _options;
    private DeduplicatingLogger _problems = new(logger);

    /// <summary>Whether the last result was made without a route towards etcd, which decides on the address.</summary>
    public bool IsProvisional { get; private set; }

    /// <summary>
    /// Whether another run may come to other addresses: the server has moved, as Kestrel does when its settings are edited, or there was
    /// no route towards etcd yet.
    /// </summary>
    public bool IsOutdated => IsProvisional || !_bound.SequenceEqual(BoundAddresses());

    /// <summary>Makes the desired registration. One that has nothing to advertise says why. Not to be called twice at a time.</summary>
    public async Task<DesiredRegistration> PlanAsync(EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        if (options != _options)
        {
            _options = options;
            _problems = new DeduplicatingLogger(logger);
        }

        var bound = BoundAddresses();
        var resolver = new EndpointResolver(addresses, client.Value.Endpoints, new EndpointNames(configuration), _problems);
        DesiredRegistration desired;
        try
        {
            IReadOnlyList<AdvertisedEndpoint> endpoints = [];
            if (options.Enabled)
            {
                endpoints = await resolver.ResolveAsync(options, bound, cancellationToken).ConfigureAwait(false);
                WarnOfUnknownNames(options, endpoints);
            }

            desired = new DesiredRegistration(options, endpoints);
        }
        catch (InvalidOperationException e)
        {
            desired = new DesiredRegistration(options, [], e);
        }

        // Only now: where the system failed to tell its addresses, the next look has to come to this result.
        _bound = bound;
        IsProvisional = resolver.IsProvisional;
        return desired;
    }

    // A generic host has no server, and the test server listens nowhere, though it repeats the URLs that the host was given: there only
    // what is configured can be advertised.
    private string[] BoundAddresses()
        => services.GetService<IServer>() is not { } server || server.GetType().FullName == "Microsoft.AspNetCore.TestHost.TestServer"
            ? []
            : [.. server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []];

    private void WarnOfUnknownNames(EtcdRegistrationOptions options, IReadOnlyList<AdvertisedEndpoint> endpoints)
    {
        var known = endpoints.Select(static e => e.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var missing = options.Endpoints.Where(static e => e.Value.Enabled).Select(static e => ("Etcd:Registration:Endpoints", e.Key))
            .Concat(options.Services.SelectMany(static s => s.Value.Endpoints.Select(e => ($"Etcd:Registration:Services:{s.Key}:Endpoints", e))))
            .Where(setting => !known.Contains(setting.Item2));
        foreach (var (setting, name) in missing)
        {
            Log.UnknownEndpoint(_problems, setting, name, string.Join(", ", known));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2741, LogLevel.Warning, "{Setting} names '{Endpoint}', but the endpoints are: {Known}. An endpoint goes by its name in "
            + "Kestrel:Endpoints, or else by its scheme.")]
        public static partial void UnknownEndpoint(ILogger logger, string setting, string endpoint, string known);
    }
}
