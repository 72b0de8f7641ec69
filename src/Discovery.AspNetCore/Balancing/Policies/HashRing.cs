using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// A consistent-hash ring. Each instance has many virtual nodes, in proportion to its weight; when it leaves, only its own keys move.
/// </summary>
internal sealed class HashRing
{
    /// <summary>128 for an instance of the usual weight of 10: with this many, shares of keys differ by about a tenth.</summary>
    private const double NodesPerWeight = 12.8;

    /// <summary>How many virtual nodes an instance has on average at least, where weights are small.</summary>
    private const double LeastNodes = 100;

    /// <summary>The same at most, where weights are large: more cost time and memory and even out nothing.</summary>
    private const double EnoughNodes = 2500;

    /// <summary>Very large services get fewer, or the ring would outgrow the cache and take long to build.</summary>
    private const int MostNodes = 1 << 18;

    private readonly ulong[] _hashes;
    private readonly InstanceState[] _instances;

    public HashRing(InstanceState[] instances)
    {
        // The number of virtual nodes of an instance depends on its own weight only, so that removing one instance moves only its keys.
        // Extreme weights are scaled by the mean weight; then up to one instance's share of other keys may move too.
        var mean = instances.Average(i => Math.Max(1, i.Record.Weight));
        var perWeight = Math.Clamp(NodesPerWeight, LeastNodes / mean, EnoughNodes / mean);
        perWeight *= Math.Min(1, MostNodes / (instances.Sum(i => i.Weight) * perWeight));

        var hashes = new List<ulong>();
        var owners = new List<InstanceState>();
        foreach (var instance in instances)
        {
            var seed = StableHash.Of(instance.Record.Key);
            var nodes = Math.Max(1, (int)Math.Round(instance.Weight * perWeight));
            for (var i = 0; i < nodes; i++)
            {
                hashes.Add(StableHash.Mix(seed + (ulong)i));
                owners.Add(instance);
            }
        }

        _hashes = [.. hashes];
        _instances = [.. owners];
        Array.Sort(_hashes, _instances);
    }

    public int Count => _hashes.Length;

    /// <summary>The instance of a virtual node; the ring wraps around.</summary>
    public InstanceState this[int node] => _instances[node < _instances.Length ? node : node - _instances.Length];

    /// <summary>The first virtual node at or after the key's hash.</summary>
    public int NodeOf(string key)
    {
        var node = Array.BinarySearch(_hashes, StableHash.Of(key));
        node = node < 0 ? ~node : node;
        return node == _hashes.Length ? 0 : node;
    }
}
