namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>The less loaded of two random endpoints: nearly as good as the least loaded of all, and clients do not all run to the same one.</summary>
internal sealed class LeastLoadPolicy : ILoadBalancingPolicy
{
    public string Name => BalancingOptions.DefaultPolicy;

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => endpoints.Count == 1 ? new SinglePicker(endpoints[0]) : new Picker([.. endpoints]);

    private sealed class Picker(ServiceEndpoint[] endpoints) : EndpointPicker
    {
        private readonly BalancingContext _context = endpoints[0].Context;

        public override ServiceEndpoint Pick(in PickContext context)
        {
            var random = FastRandom.Next();
            var first = FastRandom.Scale((uint)random, endpoints.Length);
            var second = FastRandom.Scale((uint)(random >> 32), endpoints.Length - 1);
            if (second >= first)
            {
                second++;
            }

            var now = _context.CoarseNow;
            var a = endpoints[first];
            var b = endpoints[second];
            return b.Load(now) < a.Load(now) ? b : a;
        }
    }
}
