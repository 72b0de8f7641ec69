using Discovery.Etcd;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>Turns settings into a plan, with what this application's server is bound to.</summary>
internal sealed partial class RegistrationPlanner(
    IServiceProvider services,
    IConfiguration configuration,
    EtcdClient client,
    LocalAddresses addresses,
    ILogger<RegistrationPlanner> logger)
{
    /// <summary>Makes a plan. One that has nothing to advertise says why.</summary>
    public async Task<RegistrationPlan> PlanAsync(EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        if (!options.Enabled)
        {
            return new RegistrationPlan(options, []);
        }

        var bound = BoundAddresses(services.GetService<IServer>());
        var resolver = new AdvertisedAddressResolver(addresses, client.Endpoints, new EndpointNames(configuration), logger);
        try
        {
            var endpoints = await resolver.ResolveAsync(options, [.. bound], cancellationToken);
            WarnOfUnknownNames(options, endpoints);
            return new RegistrationPlan(options, endpoints, IsProvisional: resolver.IsProvisional);
        }
        catch (InvalidOperationException e)
        {
            return new RegistrationPlan(options, [], e, resolver.IsProvisional);
        }
    }

    // A generic host has no server, and the test server listens nowhere, though it repeats the URLs that the host was given: there only
    // what is configured can be advertised.
    private static ICollection<string> BoundAddresses(IServer? server)
        => server is null || server.GetType().FullName == "Microsoft.AspNetCore.TestHost.TestServer"
            ? []
            : server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];

    private void WarnOfUnknownNames(EtcdRegistrationOptions options, IReadOnlyList<AdvertisedEndpoint> endpoints)
    {
        var known = endpoints.Select(static e => e.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var missing = options.Endpoints.Where(static e => e.Value.Enabled).Select(static e => ("Etcd:Registration:Endpoints", e.Key))
            .Concat(options.Services.SelectMany(static s => s.Value.Endpoints.Select(e => ($"Etcd:Registration:Services:{s.Key}:Endpoints", e))))
            .Where(setting => !known.Contains(setting.Item2));
        foreach (var (setting, name) in missing)
        {
            Log.UnknownEndpoint(logger, setting, name, string.Join(", ", known));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Setting} names '{Endpoint}', but the endpoints are: {Known}. An endpoint goes by its name in "
            + "Kestrel:Endpoints, or else by its scheme.")]
        public static partial void UnknownEndpoint(ILogger logger, string setting, string endpoint, string known);
    }
}
