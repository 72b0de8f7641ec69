using System.Collections.Frozen;
using Discovery.AspNetCore.LoadBalancing;

namespace Discovery.AspNetCore.Http;

/// <summary>What calls go by until the next change: immutable, swapped whole.</summary>
/// <param name="Snapshot">The service as the directory has it.</param>
/// <param name="Endpoints">The endpoints that may be called, by address.</param>
/// <param name="Http">Chooses for http calls; null when no endpoint takes them.</param>
/// <param name="Https">Chooses for https calls; null when no endpoint takes them.</param>
internal sealed record PoolState(
    ServiceSnapshot Snapshot, FrozenDictionary<string, ServiceEndpoint> Endpoints, Balancer? Http, Balancer? Https)
{
    public Balancer? For(string scheme) => scheme == Uri.UriSchemeHttps ? Https : Http;

    /// <summary>Finds the endpoint of an instance by its id or its address.</summary>
    public ServiceEndpoint? Find(string instance)
        => Endpoints.TryGetValue(instance, out var endpoint)
            ? endpoint
            : Endpoints.Values.FirstOrDefault(e => e.Instance.InstanceId == instance);
}
