using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>One after the other, from a random start: clients that start together do not all begin with the same instance.</summary>
internal sealed class RoundRobinPolicy : IBalancingPolicy
{
    public string Name => BalancingPolicies.RoundRobin;

    /// <summary>Weights in the records do not count.</summary>
    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => new TurnPicker(InstanceList.Of(instances));
}
