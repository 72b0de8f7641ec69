namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>In a fixed order in which each endpoint comes as often as its weight says, its turns spread evenly.</summary>
internal sealed class WeightedRoundRobinPolicy : ILoadBalancingPolicy
{
    public string Name => "WeightedRoundRobin";

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => new CyclePicker(WeightedCycle.Of(endpoints, e => e.Weight));
}
