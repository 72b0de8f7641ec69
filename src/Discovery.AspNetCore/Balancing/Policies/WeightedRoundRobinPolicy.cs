using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>In a fixed order in which each instance comes as often as its weight says, its turns spread evenly.</summary>
internal sealed class WeightedRoundRobinPolicy : IBalancingPolicy
{
    public string Name => BalancingPolicies.WeightedRoundRobin;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
    {
        var list = InstanceList.Of(instances);
        return list.HasEqualWeights ? new TurnPicker(list) : new CyclePicker(list);
    }
}
