using Discovery.AspNetCore.LoadBalancing;

namespace Discovery.AspNetCore.Http;

/// <summary>What calls go by until the next change: immutable, swapped whole.</summary>
/// <param name="Snapshot">The service as the directory has it.</param>
/// <param name="Endpoints">The endpoints that may be called.</param>
/// <param name="Refused">How many instances may not be dialled.</param>
/// <param name="Http">Chooses for http calls; null when no endpoint takes them.</param>
/// <param name="Https">Chooses for https calls; null when no endpoint takes them.</param>
internal sealed record PoolState(
    ServiceSnapshot Snapshot, IReadOnlyList<ServiceEndpoint> Endpoints, int Refused, Balancer? Http, Balancer? Https)
{
    /// <summary>The endpoints by address and by instance id; made by the first call that asks for an instance, for few ever do.</summary>
    private ILookup<string, ServiceEndpoint> ByName => field ??= Endpoints
        .SelectMany(static e => e.Instance.InstanceId is { } id ? [(id, e), (e.Instance.Address, e)] : new[] { (Name: e.Instance.Address, Endpoint: e) })
        .ToLookup(static e => e.Name, static e => e.Endpoint, StringComparer.Ordinal);

    public Balancer? For(string scheme) => scheme == Uri.UriSchemeHttps ? Https : Http;

    /// <summary>Finds the endpoint of an instance, by its id or its address, that takes calls of a scheme.</summary>
    public ServiceEndpoint? Find(string instance, string scheme) => ByName[instance].FirstOrDefault(e => e.Instance.Takes(scheme));

    /// <summary>Whether there is such an instance, whatever calls it takes.</summary>
    public bool Has(string instance) => ByName.Contains(instance);
}
