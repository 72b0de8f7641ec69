using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// Walks a cycle in which each instance comes as often as its weight says, its turns evenly spaced. Starts at a random turn, so that
/// clients that start together do not all begin with the same instance.
/// </summary>
internal sealed class CyclePicker(InstanceList instances) : InstancePicker
{
    /// <summary>
    /// How many turns an average instance may have: fine enough for weights that differ a hundredfold, and small in memory.
    /// </summary>
    private const int MostTurnsPerInstance = 128;

    private const int LeastTurnsPerInstance = 10;

    /// <summary>Very large services get fewer, or each step of a slow start would take long.</summary>
    private const int MostTurns = 1 << 18;

    private readonly InstanceState[] _cycle = LayOut(instances);
    private uint _next = (uint)FastRandom.Next();

    public override InstanceState Pick(in PickArguments arguments) => _cycle[Interlocked.Increment(ref _next) % (uint)_cycle.Length];

    private static InstanceState[] LayOut(InstanceList instances)
    {
        var turns = Turns([.. instances.Select(static i => i.Weight)]);
        var total = turns.Sum();
        var at = new double[total];
        var cycle = new InstanceState[total];
        var turn = 0;
        for (var i = 0; i < turns.Length; i++)
        {
            for (var k = 0; k < turns[i]; k++)
            {
                // The small shift keeps instances of one weight in their order, each time round.
                at[turn] = (k + 0.5 + (0.001 * i / turns.Length)) / turns[i];
                cycle[turn++] = instances[i];
            }
        }

        Array.Sort(at, cycle);
        return cycle;
    }

    private static int[] Turns(double[] weights)
    {
        var perInstance = Math.Clamp(MostTurns / weights.Length, LeastTurnsPerInstance, MostTurnsPerInstance);
        var exact = weights.All(w => w == Math.Floor(w) && w is >= 1 and <= int.MaxValue);
        if (exact)
        {
            var divisor = weights.Aggregate(0L, (gcd, w) => Gcd(gcd, (long)w));
            if (weights.Sum() / divisor <= (double)perInstance * weights.Length)
            {
                return [.. weights.Select(w => (int)((long)w / divisor))];
            }
        }

        var scale = perInstance / weights.Average();
        return [.. weights.Select(w => Math.Max(1, (int)Math.Round(w * scale)))];
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}
