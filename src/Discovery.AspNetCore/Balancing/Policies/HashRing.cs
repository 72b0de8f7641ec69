using System.Runtime.InteropServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// A consistent-hash ring. Each instance has many virtual nodes, in proportion to its weight; when it leaves, only its own keys move.
/// Immutable. A ring of nearly the same instances is made from the one before by copying all but the nodes that come and go.
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
    private readonly Dictionary<InstanceState, Share> _shares;

    public HashRing(IReadOnlyList<InstanceState> instances)
    {
        _shares = SharesOf(instances);
        var count = _shares.Values.Sum(static s => s.Nodes);
        _hashes = new ulong[count];
        _instances = new InstanceState[count];
        var at = 0;
        foreach (var (instance, share) in _shares)
        {
            share.WriteHashes(_hashes.AsSpan(at, share.Nodes));
            _instances.AsSpan(at, share.Nodes).Fill(instance);
            at += share.Nodes;
        }

        Array.Sort(_hashes, _instances);
    }

    private HashRing(Dictionary<InstanceState, Share> shares, ulong[] hashes, InstanceState[] instances)
        => (_shares, _hashes, _instances) = (shares, hashes, instances);

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

    /// <summary>The ring of these instances: this one if nothing changed, else made from it if little did.</summary>
    /// <param name="instances">The instances.</param>
    /// <param name="isNew">Whether it has little in common with this one and was built from nothing.</param>
    public HashRing With(IReadOnlyList<InstanceState> instances, out bool isNew)
    {
        isNew = false;
        var shares = SharesOf(instances);
        List<InstanceState> gone = [.. _shares.Where(s => !shares.TryGetValue(s.Key, out var now) || now != s.Value).Select(static s => s.Key)];
        List<InstanceState> come = [.. shares.Where(s => !_shares.TryGetValue(s.Key, out var before) || before != s.Value).Select(static s => s.Key)];
        if (gone.Count == 0 && come.Count == 0)
        {
            return this;
        }

        if ((gone.Count + come.Count) * 4 > instances.Count)
        {
            isNew = true;
            return new HashRing(instances);
        }

        var removed = PositionsOf(gone);
        var (added, owners) = NodesOf(come, shares);
        var hashes = GC.AllocateUninitializedArray<ulong>(_hashes.Length - removed.Length + added.Length);
        var merged = new InstanceState[hashes.Length];
        Merge(removed, added, owners, hashes, merged);
        return new HashRing(shares, hashes, merged);
    }

    /// <summary>How many nodes each instance has. It depends on its own weight only, so that removing one moves only its keys.</summary>
    private static Dictionary<InstanceState, Share> SharesOf(IReadOnlyList<InstanceState> instances)
    {
        // Extreme weights are scaled by the mean weight; then up to one instance's share of other keys may move too.
        var sum = 0.0;
        foreach (var instance in instances)
        {
            sum += instance.Weight;
        }

        var mean = sum / instances.Count;
        var perWeight = Math.Clamp(NodesPerWeight, LeastNodes / mean, EnoughNodes / mean);
        perWeight *= Math.Min(1, MostNodes / (sum * perWeight));
        var shares = new Dictionary<InstanceState, Share>(instances.Count);
        foreach (var instance in instances)
        {
            shares[instance] = new Share(instance.KeyHash, Math.Max(1, (int)Math.Round(instance.Weight * perWeight)));
        }

        return shares;
    }

    private static (ulong[] Hashes, InstanceState[] Owners) NodesOf(List<InstanceState> instances, Dictionary<InstanceState, Share> shares)
    {
        var hashes = new ulong[instances.Sum(i => shares[i].Nodes)];
        var owners = new InstanceState[hashes.Length];
        var at = 0;
        foreach (var instance in instances)
        {
            shares[instance].WriteHashes(hashes.AsSpan(at, shares[instance].Nodes));
            owners.AsSpan(at, shares[instance].Nodes).Fill(instance);
            at += shares[instance].Nodes;
        }

        Array.Sort(hashes, owners);
        return (hashes, owners);
    }

    /// <summary>Where the nodes of instances are, in order.</summary>
    private int[] PositionsOf(List<InstanceState> instances)
    {
        var (hashes, owners) = NodesOf(instances, _shares);
        var positions = new int[hashes.Length];
        for (var i = 0; i < hashes.Length; i++)
        {
            var at = Array.BinarySearch(_hashes, hashes[i]);

            // Two instances may have a node with one hash.
            while (at > 0 && _hashes[at - 1] == hashes[i])
            {
                at--;
            }

            while (_instances[at] != owners[i])
            {
                at++;
            }

            positions[i] = at;
        }

        Array.Sort(positions);
        return positions;
    }

    /// <summary>Copies this ring in the pieces between what comes and what goes.</summary>
    private void Merge(int[] removed, ulong[] added, InstanceState[] owners, ulong[] hashes, InstanceState[] merged)
    {
        var (from, to, gone, come) = (0, 0, 0, 0);
        while (gone < removed.Length || come < added.Length)
        {
            var insertAt = come == added.Length ? int.MaxValue : Array.BinarySearch(_hashes, added[come]);
            insertAt = insertAt < 0 ? ~insertAt : insertAt;
            var isRemoval = gone < removed.Length && removed[gone] < insertAt;
            var upTo = isRemoval ? removed[gone] : Math.Max(insertAt, from);
            Copy(upTo);
            if (isRemoval)
            {
                from++;
                gone++;
            }
            else
            {
                hashes[to] = added[come];
                merged[to++] = owners[come++];
            }
        }

        Copy(_hashes.Length);

        void Copy(int upTo)
        {
            var length = upTo - from;
            Array.Copy(_hashes, from, hashes, to, length);
            Array.Copy(_instances, from, merged, to, length);
            from += length;
            to += length;
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Share(ulong Seed, int Nodes)
    {
        public void WriteHashes(Span<ulong> hashes)
        {
            for (var i = 0; i < hashes.Length; i++)
            {
                hashes[i] = StableHash.Mix(Seed + (ulong)i);
            }
        }
    }
}
