namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// The least loaded of five random endpoints, where load is calls in flight times expected latency, and failures count as latency (see
/// <see cref="LatencyEstimate"/>). With two choices, as is usual, queues at 0.9 load are a third longer; with all, clients that see the same
/// would run to the same endpoint, and a pick would cost more the larger the service.
/// </summary>
internal sealed class LeastLoadPolicy : ILoadBalancingPolicy
{
    private const int Choices = 5;

    public string Name => BalancingOptions.DefaultPolicy;

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => endpoints.Count == 1 ? new SinglePicker(endpoints[0]) : new Picker([.. endpoints]);

    private sealed class Picker(ServiceEndpoint[] endpoints) : EndpointPicker
    {
        private readonly BalancingContext _context = endpoints[0].Context;
        private readonly int _choices = Math.Min(Choices, endpoints.Length);
        private readonly int _stride = endpoints.Length / Math.Min(Choices, endpoints.Length);

        /// <summary>One endpoint from each of five stretches that follow each other from a random place: five different ones, without a search.</summary>
        public override ServiceEndpoint Pick(in PickContext context)
        {
            var all = endpoints;
            var now = _context.CoarseNow;
            var start = FastRandom.Below(all.Length);
            var bits = FastRandom.Next();
            ServiceEndpoint? least = null;
            var leastLoad = double.PositiveInfinity;
            for (var i = 0; i < _choices; i++)
            {
                var at = start + (int)(((bits & 0xFFF) * (ulong)_stride) >> 12);
                var endpoint = all[at < all.Length ? at : at - all.Length];
                var load = endpoint.Load(now);
                if (load < leastLoad || least is null)
                {
                    leastLoad = load;
                    least = endpoint;
                }

                start += _stride;
                bits >>= 12;
            }

            return least!;
        }
    }
}
