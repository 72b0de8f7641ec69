namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// Turns an index that all have the same chance of into one that each has by its weight (Vose's alias method): each place keeps its own index
/// up to a limit, and gives the rest of its chance to one that is heavier than the average.
/// </summary>
internal sealed class AliasTable
{
    private readonly (uint Below, int Other)[] _places;

    /// <param name="weights">All more than 0.</param>
    public AliasTable(double[] weights)
    {
        var count = weights.Length;
        var mean = weights.Average();
        var left = weights.Select(w => w / mean).ToArray();
        var places = Enumerable.Range(0, count).Select(static i => (Below: uint.MaxValue, Other: i)).ToArray();
        var light = new Stack<int>(Enumerable.Range(0, count).Where(i => left[i] < 1));
        var heavy = new Stack<int>(Enumerable.Range(0, count).Where(i => left[i] >= 1));
        while (light.Count > 0 && heavy.Count > 0)
        {
            var (small, large) = (light.Pop(), heavy.Pop());
            places[small] = ((uint)(left[small] * uint.MaxValue), large);
            left[large] -= 1 - left[small];
            (left[large] < 1 ? light : heavy).Push(large);
        }

        _places = places;
    }

    /// <summary>The index, or that of a heavier one.</summary>
    /// <param name="index">An index below the number of weights.</param>
    /// <param name="coin">Any number with the same chance.</param>
    public int Resolve(int index, uint coin)
    {
        var (below, other) = _places[index];
        return coin <= below ? index : other;
    }
}
