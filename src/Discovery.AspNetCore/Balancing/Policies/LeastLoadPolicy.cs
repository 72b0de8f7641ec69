using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// The least loaded of five random instances, where load is calls in flight times expected latency, and failures count as latency (see
/// <see cref="LatencyEstimate"/>). Latencies that differ little are equal, and chance decides among equals, by weight: where calls are so few or so
/// quick that none is ever in flight, instances get shares as their weights are. Five did best in the simulator: with two choices, as is usual, p99 at 0.9 load is a third higher. Looking
/// at all instances would send every client to the same one, and would cost more the larger the service. Where instances report their load, one that
/// has just said that it has little to do goes before (see <see cref="ReportedLoad"/>).
/// </summary>
internal sealed class LeastLoadPolicy : IBalancingPolicy
{
    private const int Choices = 5;

    public string Name => BalancingPolicies.LeastLoad;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
    {
        if (instances.Count == 1)
        {
            return new SinglePicker(instances[0]);
        }

        var list = InstanceList.Of(instances);
        return list.HasEqualWeights
            ? new Picker<EqualChances>(list, default)
            : new Picker<WeightedChances>(list, new WeightedChances(list));
    }

    /// <summary>
    /// Splits the instances into five ranges, starting at a random index, and looks at one random instance in each: five different ones
    /// without a search. Branches would be mispredicted, so there are none. Positive doubles compare like their bits, so the least load is found by
    /// subtraction. Only the exponent and two bits of the mantissa count: loads within a quarter of each other are equal, and chance decides. The
    /// lowest bits hold the range's number.
    /// </summary>
    private sealed class Picker<TChances>(InstanceList instances, TChances chances) : InstancePicker
        where TChances : struct, IChances
    {
        private const long Digits = ~((1L << 50) - 1);

        private readonly InstanceList _instances = instances;
        private readonly InstanceList.Reader _items = instances.Items;
        private readonly InstanceContext _context = instances[0].Context;
        private readonly double _meanWeight = instances.TotalWeight / instances.Count;
        private readonly int _count = instances.Count;
        private readonly int _choices = Math.Min(Choices, instances.Count);
        private readonly int _stride = instances.Count / Math.Min(Choices, instances.Count);
        private readonly TChances _chances = chances;

        internal override bool GoesByLoad(in PickArguments arguments) => true;

        public override InstanceState Pick(in PickArguments arguments)
        {
            if (_context.ReportedLoad.TryTake() is { } idle && _instances.Contains(idle))
            {
                return idle;
            }

            var now = _context.CoarseNow;
            var recentFrom = now - _context.RecentTicks;
            var choice = Draw();
            var candidates = default(Candidates);
            var quickest = double.MaxValue;
            var (items, choices, stride, count) = (_items, _choices, _stride, _count);
            for (var i = 0; i < choices; i++)
            {
                var index = choice.Start + (i * stride) + (int)((((choice.Random >> (8 * i)) & 0xFF) * (uint)stride) >> 8);
                var past = index - count;
                var candidate = items[_chances.Resolve(past + (count & (past >> 31)), i, choice.Coins)];
                candidates[i] = candidate;
                quickest = double.MinNative(quickest, candidate.LearntLatency);
            }

            var equalBelow = _context.EqualBelow(quickest);
            var least = long.MaxValue;
            var isStale = 0L;
            for (var i = 0; i < choices; i++)
            {
                var load = candidates[i].RecentLoad(now, recentFrom, equalBelow, _meanWeight, ref isStale);
                Lower(ref least, load, i);
            }

            return isStale < 0 ? PickAmongStale(now, candidates) : candidates[(int)least & 7];
        }

        /// <summary>
        /// The same pick when an estimate is old and must be brought up to date. That takes longer, but there are few calls then. An
        /// instance that joined and was never called is picked at once: under low load the others never have enough in flight for its
        /// small slow-start weight to win.
        /// </summary>
        private InstanceState PickAmongStale(long now, in Candidates candidates)
        {
            Span<double> latencies = stackalloc double[Choices];
            var quickest = double.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                var instance = candidates[i];
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
                Lower(ref least, candidates[i].Load(latencies[i], equalBelow, _meanWeight), i);
            }

            return candidates[(int)least & 7];
        }

        private Choice Draw()
        {
            var random = FastRandom.Next();
            return new Choice((int)(((random >> 40) * (ulong)_count) >> 24), random, _chances.DrawCoins());
        }

        private static void Lower(ref long least, double load, int range)
        {
            var difference = ((BitConverter.DoubleToInt64Bits(load) & Digits) | (uint)range) - least;
            least += difference & (difference >> 63);
        }
    }

    /// <summary>What one pick chooses from.</summary>
    [InlineArray(Choices)]
    private struct Candidates
    {
        private InstanceState _first;
    }

    /// <summary>What one pick decides by.</summary>
    /// <param name="Start">Where the first range begins.</param>
    /// <param name="Random">Has eight bits for each range: which of its instances.</param>
    /// <param name="Coins">Decide where weights differ.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Choice(int Start, ulong Random, ulong Coins);

    /// <summary>How likely it is that an instance is looked at. Structs, so that each has a picker of its own without calls in it.</summary>
    private interface IChances
    {
        /// <summary>Draws what <see cref="Resolve"/> decides by.</summary>
        ulong DrawCoins();

        /// <summary>Replaces an index by another where the weights call for it.</summary>
        int Resolve(int index, int range, ulong coins);
    }

    private readonly struct EqualChances : IChances
    {
        public ulong DrawCoins() => 0;

        public int Resolve(int index, int range, ulong coins) => index;
    }

    /// <summary>Each instance as often as its weight has it, by Vose's alias method: one comparison, however many there are.</summary>
    private readonly struct WeightedChances : IChances
    {
        private readonly AliasTable _table;

        public WeightedChances(InstanceList instances) => _table = new AliasTable([.. instances.Select(static i => i.Weight)]);

        public ulong DrawCoins() => FastRandom.Next();

        public int Resolve(int index, int range, ulong coins)
            // Each range sees other bits: a coin that decided for all of them would make all ranges look at heavy instances at once.
            => _table.Resolve(index, (uint)(ulong.RotateLeft(coins, 12 * range) >> 32));
    }
}
