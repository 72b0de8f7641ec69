namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>One after the other, from a random start: clients that start together do not all begin with the same endpoint.</summary>
internal sealed class RoundRobinPolicy : ILoadBalancingPolicy
{
    public string Name => "RoundRobin";

    /// <summary>Weights in the records do not count, but an endpoint that starts slowly is met less often.</summary>
    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => new CyclePicker(WeightedCycle.Of(endpoints, e => e.Weight / Math.Max(1, e.Instance.Weight)));
}
