using Discovery.AspNetCore.LoadBalancing;

namespace Discovery.Benchmarks.Simulation;

/// <summary>The reference: of two random endpoints the one with fewer calls in flight, the first when equal.</summary>
internal sealed class LeastInFlightReference : ILoadBalancingPolicy
{
    public string Name => "LeastInFlight";

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints) => new Picker([.. endpoints]);

    private sealed class Picker(ServiceEndpoint[] endpoints) : EndpointPicker
    {
        public override ServiceEndpoint Pick(in PickContext context)
        {
            var (a, b) = TwoOf(endpoints);
            return b.InFlight < a.InFlight ? b : a;
        }
    }

    public static (ServiceEndpoint First, ServiceEndpoint Second) TwoOf(ServiceEndpoint[] endpoints)
    {
        var first = FastRandom.Below(endpoints.Length);
        var second = FastRandom.Below(endpoints.Length - 1);
        return (endpoints[first], endpoints[second >= first ? second + 1 : second]);
    }
}
