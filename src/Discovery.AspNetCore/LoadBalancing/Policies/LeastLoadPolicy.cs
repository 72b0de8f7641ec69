namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// The least loaded of five random endpoints, where load is calls in flight times expected latency, and failures count as latency (see
/// <see cref="LatencyEstimate"/>). With two choices, as is usual, p99 at 0.9 load is a third higher; with all, clients that see the same
/// would run to the same endpoint, and a pick would cost more the larger the service.
/// </summary>
internal sealed class LeastLoadPolicy : ILoadBalancingPolicy
{
    private const int Choices = 5;

    public string Name => BalancingOptions.DefaultPolicy;

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => endpoints.Count == 1 ? new SinglePicker(endpoints[0]) : new Picker([.. endpoints]);

    /// <summary>
    /// Looks at one endpoint from each of five stretches that follow each other from a random place: five different ones, without a search.
    /// Nothing here is predictable for the processor, hence no branches: the endpoints stand in the array twice, so that no place is
    /// beyond its end; and since positive doubles are ordered as their bits are, the least load is found by subtraction. Of the load only
    /// the exponent and two binary digits count, so that loads within a quarter of each other are the same and chance decides among
    /// them; the lowest bits make room for the stretch's number.
    /// </summary>
    private sealed class Picker(ServiceEndpoint[] endpoints) : EndpointPicker
    {
        private const long Digits = ~((1L << 50) - 1);

        private readonly ServiceEndpoint[] _twice = [.. endpoints, .. endpoints];
        private readonly BalancingContext _context = endpoints[0].Context;
        private readonly int _choices = Math.Min(Choices, endpoints.Length);
        private readonly int _stride = endpoints.Length / Math.Min(Choices, endpoints.Length);

        public override ServiceEndpoint Pick(in PickContext context)
        {
            var twice = _twice;
            var stride = _stride;
            var now = _context.CoarseNow;
            var recentFrom = now - _context.RecentTicks;
            var noise = _context.NoiseTicks;
            var random = FastRandom.Next();
            var start = (int)(((random >> 40) * ((ulong)twice.Length >> 1)) >> 24);
            var least = long.MaxValue;
            var isStale = 0L;
            for (var i = 0; i < _choices; i++)
            {
                var load = twice[PlaceOf(i, start, stride, random)].RecentLoad(now, recentFrom, noise, ref isStale);
                Lower(ref least, load, i);
            }

            return isStale < 0 ? PickAmongStale(now, start, random) : twice[PlaceOf((int)least & 7, start, stride, random)];
        }

        /// <summary>
        /// The same where an estimate is old and must be brought up to date, which takes longer, but there are few calls then. One who
        /// joined gets a first call at once: where there are few callers, endpoints at hand are never so loaded that a newcomer's small
        /// weight would attract one.
        /// </summary>
        private ServiceEndpoint PickAmongStale(long now, int start, ulong random)
        {
            var least = long.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                var endpoint = _twice[PlaceOf(i, start, _stride, random)];
                if (endpoint.IsUntried)
                {
                    return endpoint;
                }

                Lower(ref least, endpoint.Load(now), i);
            }

            return _twice[PlaceOf((int)least & 7, start, _stride, random)];
        }

        private static void Lower(ref long least, double load, int stretch)
        {
            var difference = ((BitConverter.DoubleToInt64Bits(load) & Digits) | (uint)stretch) - least;
            least += difference & (difference >> 63);
        }

        private static int PlaceOf(int stretch, int start, int stride, ulong random)
            => start + (stretch * stride) + (int)((((random >> (8 * stretch)) & 0xFF) * (uint)stride) >> 8);
    }
}
