namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>Lays out a cycle in which each endpoint comes as often as its weight says, its turns evenly spaced.</summary>
internal static class WeightedCycle
{
    /// <summary>
    /// How many turns an average endpoint may have: fine enough for weights that differ a hundredfold, and small in memory.
    /// </summary>
    private const int MostTurnsPerEndpoint = 128;

    private const int LeastTurnsPerEndpoint = 10;

    /// <summary>Very large services get fewer, or each step of a slow start would take long.</summary>
    private const int MostTurns = 1 << 18;

    public static ServiceEndpoint[] Of(IReadOnlyList<ServiceEndpoint> endpoints, Func<ServiceEndpoint, double> weightOf)
    {
        var turns = Turns([.. endpoints.Select(weightOf)]);
        var total = turns.Sum();
        var at = new double[total];
        var cycle = new ServiceEndpoint[total];
        var slot = 0;
        for (var i = 0; i < turns.Length; i++)
        {
            for (var k = 0; k < turns[i]; k++)
            {
                // The small shift keeps endpoints of one weight in their order, each time round.
                at[slot] = (k + 0.5 + (0.001 * i / turns.Length)) / turns[i];
                cycle[slot++] = endpoints[i];
            }
        }

        Array.Sort(at, cycle);
        return cycle;
    }

    private static int[] Turns(double[] weights)
    {
        var perEndpoint = Math.Clamp(MostTurns / weights.Length, LeastTurnsPerEndpoint, MostTurnsPerEndpoint);
        var exact = weights.All(w => w == Math.Floor(w) && w is >= 1 and <= int.MaxValue);
        if (exact)
        {
            var divisor = weights.Aggregate(0L, (gcd, w) => Gcd(gcd, (long)w));
            if (weights.Sum() / divisor <= (double)perEndpoint * weights.Length)
            {
                return [.. weights.Select(w => (int)((long)w / divisor))];
            }
        }

        var scale = perEndpoint / weights.Average();
        var most = weights.Max();
        return weights.All(w => w == most)
            ? [.. weights.Select(_ => 1)]
            : [.. weights.Select(w => Math.Max(1, (int)Math.Round(w * scale)))];
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}
