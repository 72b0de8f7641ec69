namespace Discovery.AspNetCore;

/// <summary>The names of the built-in policies, for <see cref="BalancingOptions.Policy"/>.</summary>
public static class BalancingPolicies
{
    /// <summary>The least loaded of five random instances; the default.</summary>
    public const string LeastLoad = "LeastLoad";

    /// <summary>One after the other, whatever their weights.</summary>
    public const string RoundRobin = "RoundRobin";

    /// <summary>In a fixed order in which each instance comes as often as its weight says.</summary>
    public const string WeightedRoundRobin = "WeightedRoundRobin";

    /// <summary>By chance, in proportion to the weights.</summary>
    public const string Random = "Random";

    /// <summary>Calls with the same <c>discovery-hash-key</c> go to the same instance, within a bound on its load.</summary>
    public const string ConsistentHash = "ConsistentHash";

    /// <summary>All calls to the first instance; the others stand by.</summary>
    public const string PickFirst = "PickFirst";
}
