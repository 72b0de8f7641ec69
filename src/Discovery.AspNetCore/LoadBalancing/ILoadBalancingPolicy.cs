namespace Discovery.AspNetCore;

/// <summary>
/// Decides which endpoint gets a call. Register an implementation as a singleton <see cref="ILoadBalancingPolicy"/> and name it in
/// <c>Etcd:Discovery:Policy</c>.
/// </summary>
public interface ILoadBalancingPolicy
{
    /// <summary>The name used in configuration; compared without regard to case.</summary>
    string Name { get; }

    /// <summary>Prepares the choice among endpoints. Called whenever the set changes; the picker is then used until the next change.</summary>
    /// <param name="endpoints">The endpoints that may be called; never empty. Their live state is current at any time.</param>
    EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints);
}

/// <summary>Chooses among a fixed set of endpoints. Thread-safe; a pick takes no lock and allocates nothing.</summary>
public abstract class EndpointPicker
{
    /// <summary>Chooses an endpoint for a call.</summary>
    /// <param name="context">What is known of the call.</param>
    public abstract ServiceEndpoint Pick(in PickContext context);
}

/// <summary>What is known of a call when its endpoint is chosen.</summary>
/// <param name="HashKey">The value of the call's <c>discovery-hash-key</c> metadata, or <see langword="null"/>.</param>
/// <param name="Attempt">0 for the first choice, 1 after one endpoint could not be connected to, and so on.</param>
public readonly record struct PickContext(string? HashKey, int Attempt = 0);
