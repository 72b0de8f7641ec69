using Discovery.AspNetCore.Balancing.Policies;

namespace Discovery.AspNetCore.Balancing;

/// <summary>Finds policies by name: the built-in ones and those the application registered, which win.</summary>
internal sealed class PolicyCatalog
{
    private readonly Dictionary<string, IBalancingPolicy> _byName = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Collects the policies.</summary>
    /// <param name="registered">The application's own.</param>
    public PolicyCatalog(IEnumerable<IBalancingPolicy> registered)
    {
        foreach (var policy in BuiltIn().Concat(registered))
        {
            _byName[policy.Name] = policy;
        }
    }

    /// <summary>The names that exist, sorted.</summary>
    public IReadOnlyList<string> Names => [.. _byName.Keys.Order(StringComparer.OrdinalIgnoreCase)];

    /// <summary>The policy of this name.</summary>
    /// <param name="name">The name, whatever its case.</param>
    /// <param name="setting">Where the name was set, for the error.</param>
    /// <exception cref="InvalidOperationException">There is none; the message lists those that exist.</exception>
    public IBalancingPolicy Get(string name, string setting)
        => _byName.TryGetValue(name, out var policy) ? policy : throw new InvalidOperationException(
            $"{setting} is '{name}', but there is no such load balancing policy. There are: {string.Join(", ", Names)}. "
            + $"Register your own as a singleton {nameof(IBalancingPolicy)}.");

    private static IEnumerable<IBalancingPolicy> BuiltIn()
    {
        var leastLoad = new LeastLoadPolicy();
        yield return leastLoad;
        yield return new RoundRobinPolicy();
        yield return new WeightedRoundRobinPolicy();
        yield return new RandomPolicy();
        yield return new ConsistentHashPolicy(leastLoad);
        yield return new PickFirstPolicy();
    }
}
