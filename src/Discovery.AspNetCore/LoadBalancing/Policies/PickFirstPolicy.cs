namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// All calls to the endpoint whose key comes first; to the next one only when it cannot be reached, is ejected or leaves. All clients
/// agree on the order, so one instance works and the others stand by.
/// </summary>
internal sealed class PickFirstPolicy : ILoadBalancingPolicy
{
    public string Name => "PickFirst";

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => new Picker([.. endpoints.OrderBy(e => e.Instance.Key, StringComparer.Ordinal)]);

    private sealed class Picker(ServiceEndpoint[] endpoints) : EndpointPicker
    {
        public override ServiceEndpoint Pick(in PickContext context) => endpoints[context.Attempt % endpoints.Length];
    }
}
