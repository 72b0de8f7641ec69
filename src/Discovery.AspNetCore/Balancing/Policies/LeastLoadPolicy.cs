using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// The least loaded of five random instances, where load is calls in flight times expected latency, and failures count as latency (see
/// <see cref="LatencyEstimate"/>). Latencies that differ little are equal, and chance decides among equals: where calls are so few or so quick
/// that none is ever in flight, equal instances get equal shares. Five did best in the simulator: with two choices, as is usual, p99 at 0.9 load is a third higher. Looking
/// at all instances would send every client to the same one, and would cost more the larger the service.
/// </summary>
internal sealed class LeastLoadPolicy : IBalancingPolicy
{
    private const int Choices = 5;

    public string Name => BalancingPolicies.LeastLoad;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        => instances.Count == 1 ? new SinglePicker(instances[0]) : new Picker([.. instances]);

    /// <summary>
    /// Splits the instances into five ranges, starting at a random index, and looks at one random instance in each: five different ones
    /// without a search. Branches would be mispredicted, so there are none. The array holds the instances twice, so an index never runs
    /// past the end. Positive doubles compare like their bits, so the least load is found by subtraction. Only the exponent and two bits
    /// of the mantissa count: loads within a quarter of each other are equal, and chance decides. The lowest bits hold the range's number.
    /// </summary>
    private sealed class Picker(InstanceState[] instances) : InstancePicker
    {
        private const long Digits = ~((1L << 50) - 1);

        private readonly InstanceState[] _twice = [.. instances, .. instances];
        private readonly InstanceContext _context = instances[0].Context;
        private readonly int _choices = Math.Min(Choices, instances.Length);
        private readonly int _stride = instances.Length / Math.Min(Choices, instances.Length);

        internal override bool GoesByLoad(in PickArguments arguments) => true;

        public override InstanceState Pick(in PickArguments arguments)
        {
            var twice = _twice;
            var stride = _stride;
            var now = _context.CoarseNow;
            var recentFrom = now - _context.RecentTicks;
            var random = FastRandom.Next();
            var start = (int)(((random >> 40) * ((ulong)twice.Length >> 1)) >> 24);
            var quickest = double.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                quickest = double.MinNative(quickest, twice[IndexOf(i, start, stride, random)].LearntLatency);
            }

            var equalBelow = _context.EqualBelow(quickest);
            var least = long.MaxValue;
            var isStale = 0L;
            for (var i = 0; i < _choices; i++)
            {
                var load = twice[IndexOf(i, start, stride, random)].RecentLoad(now, recentFrom, equalBelow, ref isStale);
                Lower(ref least, load, i);
            }

            return isStale < 0 ? PickAmongStale(now, start, random) : twice[IndexOf((int)least & 7, start, stride, random)];
        }

        /// <summary>
        /// The same pick when an estimate is old and must be brought up to date. That takes longer, but there are few calls then. An
        /// instance that joined and was never called is picked at once: under low load the others never have enough in flight for its
        /// small slow-start weight to win.
        /// </summary>
        private InstanceState PickAmongStale(long now, int start, ulong random)
        {
            Span<double> latencies = stackalloc double[Choices];
            var quickest = double.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                var instance = _twice[IndexOf(i, start, _stride, random)];
                if (instance.IsUntried)
                {
                    return instance;
                }

                latencies[i] = instance.LatencyAt(now);
                quickest = Math.Min(quickest, latencies[i]);
            }

            var equalBelow = _context.EqualBelow(quickest);
            var least = long.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                Lower(ref least, _twice[IndexOf(i, start, _stride, random)].Load(latencies[i], equalBelow), i);
            }

            return _twice[IndexOf((int)least & 7, start, _stride, random)];
        }

        private static void Lower(ref long least, double load, int range)
        {
            var difference = ((BitConverter.DoubleToInt64Bits(load) & Digits) | (uint)range) - least;
            least += difference & (difference >> 63);
        }

        private static int IndexOf(int range, int start, int stride, ulong random)
            => start + (range * stride) + (int)((((random >> (8 * range)) & 0xFF) * (uint)stride) >> 8);
    }
}
