using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// The least loaded of five random instances, where load is calls in flight times expected latency, and failures count as latency (see
/// <see cref="LatencyEstimate"/>). Latencies that differ little are equal, and chance decides among equals, by weight: where calls are so few or so
/// quick that none is ever in flight, instances get shares as their weights are. Five did best in the simulator: with two choices, as is usual, p99 at 0.9 load is a third higher. Looking
/// at all instances would send every client to the same one, and would cost more the larger the service. Where instances report their load, one that
/// has just said that it has little to do goes before (see <see cref="ReportedLoad"/>). Calls that go on for long, such as streams, are spread and else count
/// for nothing (see <see cref="LastingCalls"/>).
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
        return list.HasEqualWeights ? CreatePicker(list, default(EqualChances)) : CreatePicker(list, new WeightedChances(list));
    }

    private static InstancePicker CreatePicker<TChances>(InstanceList list, TChances chances)
        where TChances : struct, IChances
        => list.Chunks == 1
            ? new Picker<TChances, InstanceList.OneChunkReader>(list, list.ItemsOfOneChunk, chances)
            : new Picker<TChances, InstanceList.Reader>(list, list.Items, chances);

    /// <summary>
    /// Splits the instances into five ranges, starting at a random index, and looks at one random instance in each: five different ones
    /// without a search. Positive doubles compare like their bits. Only the exponent and two bits of the mantissa count: loads within a quarter of
    /// each other are equal, and chance decides. The lowest bits hold the range's number.
    /// </summary>
    /// <remarks>
    /// Who wins is as good as random to the processor, so there is no branch, and no loop: the five waits for memory overlap, and so do
    /// those of the next pick where it follows at once. The winner is looked up again by its range. To write the five to the stack and read one of
    /// them takes longer: the processor guesses which write the read is of, and mostly guesses wrong.
    /// </remarks>
    private sealed class Picker<TChances, TItems>(InstanceList instances, TItems items, TChances chances) : InstancePicker
        where TChances : struct, IChances
        where TItems : struct, InstanceList.IReader
    {
        private const long Digits = ~((1L << 50) - 1);

        private readonly InstanceList _instances = instances;
        private readonly TItems _items = items;
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
            var choice = Draw();
            if (_choices < Choices)
            {
                return PickAmongFew(now, choice);
            }

            var (a, b, c, d, e) = (Candidate(choice, 0), Candidate(choice, 1), Candidate(choice, 2), Candidate(choice, 3), Candidate(choice, 4));
            var quickest = double.MinNative(
                double.MinNative(double.MinNative(a.LearntLatency, b.LearntLatency), double.MinNative(c.LearntLatency, d.LearntLatency)),
                e.LearntLatency);
            var recentFrom = now - _context.RecentTicks;
            var equalBelow = _context.EqualBelow(quickest);
            var lasting = choice.LastingMask;
            var isStale = 0L;
            var least = Math.Min(
                Math.Min(
                    Math.Min(
                        Rank(a.RecentLoad(now, recentFrom, equalBelow, WeightOfCall(a), lasting, ref isStale), 0),
                        Rank(b.RecentLoad(now, recentFrom, equalBelow, WeightOfCall(b), lasting, ref isStale), 1)),
                    Math.Min(
                        Rank(c.RecentLoad(now, recentFrom, equalBelow, WeightOfCall(c), lasting, ref isStale), 2),
                        Rank(d.RecentLoad(now, recentFrom, equalBelow, WeightOfCall(d), lasting, ref isStale), 3))),
                Rank(e.RecentLoad(now, recentFrom, equalBelow, WeightOfCall(e), lasting, ref isStale), 4));
            return isStale < 0 ? PickAmongStale(now, choice) : Candidate(choice, (int)least & 7);
        }

        /// <summary>The same pick among fewer than five, by as many ranges of one instance.</summary>
        private InstanceState PickAmongFew(long now, Choice choice)
        {
            var quickest = double.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                quickest = double.MinNative(quickest, Candidate(choice, i).LearntLatency);
            }

            var recentFrom = now - _context.RecentTicks;
            var equalBelow = _context.EqualBelow(quickest);
            var least = long.MaxValue;
            var isStale = 0L;
            for (var i = 0; i < _choices; i++)
            {
                var instance = Candidate(choice, i);
                least = Math.Min(least, Rank(instance.RecentLoad(now, recentFrom, equalBelow, WeightOfCall(instance), choice.LastingMask, ref isStale), i));
            }

            return isStale < 0 ? PickAmongStale(now, choice) : Candidate(choice, (int)least & 7);
        }

        /// <summary>
        /// The same pick when an estimate is old and must be brought up to date. That takes longer, but there are few calls then. An
        /// instance that joined and was never called is picked at once: under low load the others never have enough in flight for its
        /// small slow-start weight to win.
        /// </summary>
        private InstanceState PickAmongStale(long now, Choice choice)
        {
            Span<double> latencies = stackalloc double[Choices];
            var quickest = double.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                var instance = Candidate(choice, i);
                if (instance.IsUntried)
                {
                    return instance;
                }

                instance.AdvanceLasting(now);
                latencies[i] = instance.LatencyAt(now);
                quickest = Math.Min(quickest, latencies[i]);
            }

            var equalBelow = _context.EqualBelow(quickest);
            var least = long.MaxValue;
            for (var i = 0; i < _choices; i++)
            {
                var instance = Candidate(choice, i);
                least = Math.Min(least, Rank(instance.Load(latencies[i], equalBelow, WeightOfCall(instance), choice.LastingMask), i));
            }

            return Candidate(choice, (int)least & 7);
        }

        private Choice Draw()
        {
            var random = FastRandom.Next();
            return new Choice((int)(((random >> 40) * (ulong)_count) >> 24), random, _chances.DrawCoins());
        }

        /// <summary>The instance that a pick looks at in a range.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private InstanceState Candidate(Choice choice, int range)
        {
            var index = choice.Start + (range * _stride) + (int)((((choice.Random >> (8 * range)) & 0xFF) * (uint)_stride) >> 8);
            var past = index - _count;
            return _items[_chances.Resolve(past + (_count & (past >> 31)), range, choice.Coins)];
        }

        /// <summary>What a call counts that an instance has in flight.</summary>
        private double WeightOfCall(InstanceState instance) => TChances.AreEqual ? 1 : _meanWeight * instance.PerWeight;

        private static long Rank(double load, int range) => (BitConverter.DoubleToInt64Bits(load) & Digits) | (uint)range;
    }

    /// <summary>What one pick decides by.</summary>
    /// <param name="Start">Where the first range begins.</param>
    /// <param name="Random">Has eight bits for each range: which of its instances.</param>
    /// <param name="Coins">Decide where weights differ.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Choice(int Start, ulong Random, ulong Coins)
    {
        /// <summary>
        /// -1 if calls that go on for long do not count, 0 if they do, as in every fourth pick. That is enough to spread them, whose number on each instance
        /// then differs by a few however many there are; and an instance with more of them than others gets three quarters of its share of the rest.
        /// </summary>
        /// <remarks>
        /// Two bits that hardly matter elsewhere. How little it takes is shown by Peres, Talwar and Wieder, "Graphical balanced allocations and the (1 + β)-choice
        /// process": the gap is of the order of log n / β.
        /// </remarks>
        public int LastingMask => (int)-(long)(Random & 3) >> 31;
    }

    /// <summary>How likely it is that an instance is looked at. Structs, so that each has a picker of its own without calls in it.</summary>
    private interface IChances
    {
        /// <summary>Whether all instances have the same weight.</summary>
        static abstract bool AreEqual { get; }

        /// <summary>Draws what <see cref="Resolve"/> decides by.</summary>
        ulong DrawCoins();

        /// <summary>Replaces an index by another where the weights call for it.</summary>
        int Resolve(int index, int range, ulong coins);
    }

    private readonly struct EqualChances : IChances
    {
        public static bool AreEqual => true;

        public ulong DrawCoins() => 0;

        public int Resolve(int index, int range, ulong coins) => index;
    }

    /// <summary>Each instance as often as its weight has it, by Vose's alias method: one comparison, however many there are.</summary>
    private readonly struct WeightedChances : IChances
    {
        private readonly AliasTable _table;

        public WeightedChances(InstanceList instances) => _table = new AliasTable([.. instances.Select(static i => i.Weight)]);

        public static bool AreEqual => false;

        public ulong DrawCoins() => FastRandom.Next();

        public int Resolve(int index, int range, ulong coins)
            // Each range sees other bits: a coin that decided for all of them would make all ranges look at heavy instances at once.
            => _table.Resolve(index, (uint)(ulong.RotateLeft(coins, 12 * range) >> 32));
    }
}
