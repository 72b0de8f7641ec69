namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>In a fixed order in which each instance comes as often as its weight says, its turns spread evenly.</summary>
internal sealed class WeightedRoundRobinPolicy : IBalancingPolicy
{
    public string Name => BalancingPolicies.WeightedRoundRobin;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        => new CyclePicker(instances, static i => i.Weight);
}
