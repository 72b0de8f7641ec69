namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>Decides which endpoints serve a service: those that settings choose, else all that are not plainly for operators.</summary>
internal static class EndpointSelector
{
    private const string Settings = "Etcd:Registration";

    /// <summary>The endpoints of a service, one for each address.</summary>
    public static IReadOnlyList<AdvertisedEndpoint> Select(
        EtcdRegistrationOptions options, RegisteredServiceOptions service, IReadOnlyList<AdvertisedEndpoint> endpoints)
        => [.. endpoints
            .Where(e => service.Endpoints.Count > 0
                ? service.Endpoints.Contains(e.Name, StringComparer.OrdinalIgnoreCase)
                : IsChosen(options, e) || e is { IsPrivate: false, IsAlternative: false })
            .GroupBy(static e => (e.Host, e.Port), static (_, alike) => Merge([.. alike]))];

    /// <summary>Whether the settings name an endpoint, for all services or for one.</summary>
    public static bool IsNamed(EtcdRegistrationOptions options, string endpointName)
        => options.Endpoints.ContainsKey(endpointName)
            || options.Services.Values.Any(s => s.Endpoints.Contains(endpointName, StringComparer.OrdinalIgnoreCase));

    /// <summary>Why a service cannot be registered with its endpoints, or <see langword="null"/> when it can.</summary>
    public static string? GetProblem(
        EtcdRegistrationOptions options, string serviceName, RegisteredServiceOptions service, IReadOnlyList<AdvertisedEndpoint> endpoints)
    {
        if (service.Endpoints.Count > 0)
        {
            return null;
        }

        // One port on several addresses is one endpoint to whoever calls.
        var alike = Select(options, service, endpoints)
            .GroupBy(static e => (e.Scheme, e.Protocols))
            .FirstOrDefault(g => g.Select(static e => e.Port).Distinct().Count() > 1 && !g.All(e => IsChosen(options, e)));
        if (alike is null)
        {
            return null;
        }

        // Of those in Urls, ASPNETCORE_HTTP_PORTS and the like, settings by name would mean all.
        var remedy = alike.Select(static e => e.Name).Distinct(StringComparer.OrdinalIgnoreCase).Count() < alike.Count()
            ? "Some have the same name, as all that are not in Kestrel:Endpoints go by their scheme. Give each a name of its own there, e.g. "
                + $"Kestrel:Endpoints:Web:Url to {alike.First().Scheme}://*:{alike.First().Port}, and then set "
            : "Set ";
        return $"The service '{serviceName}' has the endpoints {string.Join(" and ", alike)}, between which a client cannot tell: calls would "
                + $"go to either. {remedy}{Settings}:Endpoints:<name>:Enabled to false for each that does not serve it, and to true for each "
                + $"that does, or name those that do in {Settings}:Services:{serviceName}:Endpoints. An endpoint has the name that it has in "
                + "Kestrel:Endpoints.";
    }

    /// <summary>Endpoints behind one address are one to whoever calls it, which speaks what any of them does. It goes by the name of the first.</summary>
    private static AdvertisedEndpoint Merge(IReadOnlyList<AdvertisedEndpoint> alike)
        => alike[0] with
        {
            Protocols = EndpointProtocols.Unite(alike.Select(static e => e.Protocols)),
            IsShared = alike.Any(static e => e.IsShared),
        };

    private static bool IsChosen(EtcdRegistrationOptions options, AdvertisedEndpoint endpoint)
        => endpoint.IsShared || options.Endpoints.ContainsKey(endpoint.Name);
}
