using System.Net;
using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.Etcd;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Registration;

/// <summary>Turns settings into the desired registration, with what this application's server is bound to.</summary>
internal sealed partial class RegistrationPlanner(
    IServiceProvider services,
    IConfiguration configuration,
    Lazy<EtcdClient> client,
    LocalAddresses addresses,
    ILogger<IServiceRegistration> logger)
{
    private static readonly RegistrationProblem NoAddresses = new(
        ServiceRegistrationState.NoAddress,
        LogLevel.Warning,
        "Its server has no network addresses. Set Etcd:Registration:AdvertisedUrls to register it all the same, e.g. http://10.0.0.1:5000.");

    private IReadOnlyList<string> _bound = [];
    private IReadOnlyList<(EndPoint, HttpProtocols)> _spoken = [];
    private IReadOnlyList<ChosenAddress> _chosen = [];
    private List<ChosenAddress> _earlier = [];
    private Func<IPAddress, bool> _isAwaited = static _ => false;
    private EtcdRegistrationOptions? _options;
    private DeduplicatingLogger _problems = new(logger);

    /// <summary>Whether the last result has to be looked at again: there was no route that decides yet, or no address but loopback.</summary>
    public bool IsProvisional { get; private set; } = true;

    /// <summary>
    /// Whether another run may come to another result: the server has moved or speaks another protocol, as Kestrel does some time after its
    /// settings are edited, the machine has lost an address that was chosen for a wildcard, or for a port on several addresses, or has one now that
    /// would have been chosen, or there was nothing to choose from. A mere change of routes moves nothing.
    /// </summary>
    public bool IsOutdated
        => IsProvisional || !_bound.SequenceEqual(BoundAddresses()) || !_spoken.SequenceEqual(Spoken(KestrelOptions())) || HasMoved();

    /// <summary>Makes the desired registration. One that has nothing to advertise says why. Not to be called twice at a time.</summary>
    public async Task<DesiredRegistration> PlanAsync(EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        if (options != _options)
        {
            _options = options;
            _problems = new DeduplicatingLogger(logger);
        }

        var bound = BoundAddresses();
        var kestrel = KestrelOptions();
        var present = _chosen.Count + _earlier.Count > 0 ? addresses.TryGetAll() : null;
        List<ChosenAddress> earlier = [.. _earlier.Concat(_chosen.Where(c => c.IsProvisional || present?.Contains(c.Address) == false)).Distinct()];
        var resolver = new EndpointResolver(
            addresses,
            client.Value.Endpoints,
            earlier,
            new EndpointNames(configuration, kestrel),
            new EndpointProtocols(configuration, kestrel),
            _problems,
            services.GetService<IHostEnvironment>()?.IsDevelopment() == true);
        DesiredRegistration desired;
        try
        {
            IReadOnlyList<AdvertisedEndpoint> endpoints = [];
            if (options.Enabled)
            {
                endpoints = await resolver.ResolveAsync(options, bound, cancellationToken).ConfigureAwait(false);
            }

            desired = Choose(options, endpoints, resolver.Bound, resolver.LeftOut);
            if (desired is { Problem: null, Endpoints.Count: > 0 })
            {
                WarnOfGrpc(options, endpoints, resolver);
                WarnOfRefusedHosts(options);
            }
        }
        catch (InvalidOperationException e) when (e is not ObjectDisposedException)
        {
            desired = new DesiredRegistration(
                options, [], new RegistrationProblem(ServiceRegistrationState.NoAddress, LogLevel.Error, e.Message));
        }

        // Only now: where the system failed to tell its addresses, the next look has to come to this result.
        _bound = bound;
        _spoken = [.. Spoken(kestrel)];
        _chosen = resolver.Chosen;
        _earlier = earlier.FindAll(c => c.IsProvisional ? resolver.IsProvisional : present?.Contains(c.Address) != true);
        _isAwaited = resolver.IsAwaited;
        IsProvisional = resolver.IsProvisional;
        return desired;
    }

    /// <summary>Whether the machine has lost an address that was chosen, or has one now that would have been.</summary>
    private bool HasMoved()
        => _chosen.Count + _earlier.Count > 0
            && addresses.TryGetAll() is { } present && (!_chosen.All(c => present.Contains(c.Address)) || present.Any(_isAwaited));

    // A generic host has no server, and the test server listens nowhere, though it repeats the URLs that the host was given: there only
    // what is configured can be advertised.
    private string[] BoundAddresses()
        => services.GetService<IServer>() is not { } server || server.GetType().FullName == "Microsoft.AspNetCore.TestHost.TestServer"
            ? []
            : [.. server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []];

    private IReadOnlyList<ListenOptions>? KestrelOptions()
        => services.GetService<IServer>()?.GetType().Namespace?.StartsWith("Microsoft.AspNetCore.Server.Kestrel", StringComparison.Ordinal) == true
            && services.GetService<IOptions<KestrelServerOptions>>() is { } options
                ? KestrelEndpoints.Read(options.Value)
                : null;

    private static IEnumerable<(EndPoint, HttpProtocols)> Spoken(IReadOnlyList<ListenOptions>? kestrel)
        => (kestrel ?? []).Select(static o => (o.EndPoint, o.Protocols));

    private DesiredRegistration Choose(
        EtcdRegistrationOptions options, IReadOnlyList<AdvertisedEndpoint> endpoints, IReadOnlyList<BoundEndpoint> bound, IReadOnlyList<string> leftOut)
    {
        if (endpoints.Count == 0)
        {
            return new DesiredRegistration(options, [], !options.Enabled ? null : leftOut.Count == 0 ? NoAddresses : NoEndpoints(leftOut));
        }

        var registered = RegistrationRecord.ServicesOf(options).ToList();
        if (registered.Select(s => EndpointSelector.GetProblem(options, s.Name, s.Options, endpoints)).FirstOrDefault(static p => p is not null) is { } problem)
        {
            return new DesiredRegistration(options, [], new RegistrationProblem(ServiceRegistrationState.NoEndpoint, LogLevel.Error, problem));
        }

        // Set URLs go by their schemes.
        var known = (options.AdvertisedUrls.Count > 0 ? endpoints.Select(static e => e.Name) : bound.Select(static e => e.Name))
            .ToHashSet(StringComparer.OrdinalIgnoreCase);
        var unknown = UnknownNames(options, known).ToList();
        var unserved = registered.FindAll(s => EndpointSelector.Select(options, s.Options, endpoints).Count == 0);
        if (unserved.Count == registered.Count)
        {
            return new DesiredRegistration(
                options,
                [],
                unknown.Count == 0 ? NoEndpoints(leftOut) : new RegistrationProblem(ServiceRegistrationState.NoEndpoint, LogLevel.Error, string.Join(" ", unknown)));
        }

        unknown.AddRange(unserved.Where(s => s.Options.Endpoints.All(known.Contains))
            .Select(s => $"The service '{s.Name}' is not registered. {NoEndpoints(leftOut).Message}"));
        unknown.ForEach(text => Log.UnknownEndpoint(_problems, text));
        return new DesiredRegistration(options, endpoints);
    }

    private static RegistrationProblem NoEndpoints(IReadOnlyList<string> leftOut) => new(
        ServiceRegistrationState.NoEndpoint,
        LogLevel.Error,
        string.Join(" ", leftOut.Prepend("Its server has no endpoint for clients that they can dial."))
            + " Set Etcd:Registration:Endpoints:<name>:Enabled to true for the one that serves them, or Etcd:Registration:AdvertisedUrls to the URL "
            + "by which they reach it, e.g. http://10.0.0.1:5000.");

    private void WarnOfGrpc(EtcdRegistrationOptions options, IReadOnlyList<AdvertisedEndpoint> endpoints, EndpointResolver resolver)
    {
        var bound = resolver.Bound;
        if (bound.Count > 0 && !bound.Any(static s => EndpointProtocols.HasHttp2(s.Protocols)))
        {
            if (GrpcServices.AreMapped(services))
            {
                Log.GrpcWithoutHttp2(_problems, string.Join(", ", bound.Select(static s => $"'{s.Name}'").Distinct(StringComparer.Ordinal)));
            }

            return;
        }

        // What the settings leave out is meant to be; what this library leaves out unasked may not.
        var leftOut = resolver.LeftOutAsPrivate.Where(static s => EndpointProtocols.HasHttp2(s.Protocols)).ToList();
        var registered = RegistrationRecord.ServicesOf(options).SelectMany(s => EndpointSelector.Select(options, s.Options, endpoints));
        if (leftOut.Count > 0 && !registered.Any(static e => EndpointProtocols.HasHttp2(e.Protocols)) && GrpcServices.AreMappedForClients(services))
        {
            Log.GrpcNotRegistered(_problems, string.Join(", ", leftOut), resolver.GetRemedy(leftOut[0]));
        }
    }

    private void WarnOfRefusedHosts(EtcdRegistrationOptions options)
    {
        var allowed = HostFiltering.AllowedHosts(services);
        if (HostFiltering.Refused(allowed, RegistrationRecord.ServicesOf(options).Select(static s => s.Name)) is { Count: > 0 } refused)
        {
            Log.HostsRefused(_problems, string.Join(", ", refused), string.Join(';', allowed), string.Join(';', allowed.Concat(refused)));
        }
    }

    /// <summary>
    /// Names that no endpoint has. A mistyped one leaves in what was to be left out; but that one for operators is off is said once for all
    /// environments, of which some do not have it.
    /// </summary>
    private static IEnumerable<string> UnknownNames(EtcdRegistrationOptions options, HashSet<string> known)
        => options.Endpoints.Where(static e => e.Value.Enabled || !BoundEndpoint.IsAdministrative(e.Key)).Select(static e => ("Etcd:Registration:Endpoints", e.Key))
            .Concat(options.Services.SelectMany(static s => s.Value.Endpoints.Select(e => ($"Etcd:Registration:Services:{s.Key}:Endpoints", e))))
            .Where(setting => !known.Contains(setting.Item2))
            .Select(setting => $"{setting.Item1} names '{setting.Item2}', but the endpoints are: {string.Join(", ", known)}. An endpoint goes by "
                + "its name in Kestrel:Endpoints, or else by its scheme.");

    private static partial class Log
    {
        [LoggerMessage(2741, LogLevel.Warning, "{Problem}")]
        public static partial void UnknownEndpoint(ILogger logger, string problem);

        [LoggerMessage(2743, LogLevel.Warning, "This application maps gRPC services, but none of its endpoints ({Endpoints}) speaks HTTP/2, so "
            + "every gRPC call will fail. Without TLS Kestrel speaks HTTP/1.1 unless it is told to speak HTTP/2 alone: set "
            + "Kestrel:EndpointDefaults:Protocols to Http2, or Kestrel:Endpoints:<name>:Protocols for one endpoint.")]
        public static partial void GrpcWithoutHttp2(ILogger logger, string endpoints);

        [LoggerMessage(2745, LogLevel.Warning, "This application maps gRPC services, but none of its registered endpoints speaks HTTP/2, so every gRPC call by "
            + "name will fail: {Endpoints} does, and is taken for one that is not for clients. {Remedy}")]
        public static partial void GrpcNotRegistered(ILogger logger, string endpoints, string remedy);

        [LoggerMessage(2744, LogLevel.Warning, "Calls by name have the host {Hosts}, which this application answers with 400 Bad Request: AllowedHosts is "
            + "'{Allowed}'. Set AllowedHosts to '{Needed}'.")]
        public static partial void HostsRefused(ILogger logger, string hosts, string allowed, string needed);
    }
}
