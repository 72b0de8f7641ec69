using System.Numerics;
using System.Runtime.InteropServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// A consistent-hash ring. Each instance has many virtual nodes, in proportion to its weight; when it leaves, only its own keys move.
/// Immutable. The ring lies in buckets of a few dozen nodes, by the first bits of their hashes; a ring of nearly the same instances shares
/// with the one before all buckets in which nothing changed.
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

    /// <summary>A bucket of this size is copied quickly, and there are few enough of them.</summary>
    private const int NodesPerBucket = 32;

    private readonly Dictionary<InstanceState, Share> _shares;
    private readonly Node[][] _buckets;
    private readonly int _shift;

    public HashRing(IReadOnlyList<InstanceState> instances)
        : this(SharesOf(instances))
    {
    }

    private HashRing(Dictionary<InstanceState, Share> shares)
        : this(shares, new Node[BucketsFor(CountOf(shares))][])
    {
        var sizes = new int[_buckets.Length];
        foreach (var share in shares.Values)
        {
            for (var i = 0; i < share.Nodes; i++)
            {
                sizes[BucketOf(share.HashOf(i))]++;
            }
        }

        for (var i = 0; i < sizes.Length; i++)
        {
            _buckets[i] = sizes[i] == 0 ? [] : new Node[sizes[i]];
        }

        foreach (var (instance, share) in shares)
        {
            for (var i = 0; i < share.Nodes; i++)
            {
                var hash = share.HashOf(i);
                var bucket = BucketOf(hash);
                _buckets[bucket][--sizes[bucket]] = new Node(hash, instance);
            }
        }

        foreach (var bucket in _buckets)
        {
            Array.Sort(bucket, Node.Compare);
        }
    }

    private HashRing(Dictionary<InstanceState, Share> shares, Node[][] buckets)
    {
        _shares = shares;
        _buckets = buckets;
        _shift = 64 - BitOperations.Log2((uint)buckets.Length);
        Count = CountOf(shares);
    }

    /// <summary>How many virtual nodes there are; at least one.</summary>
    public int Count { get; }

    /// <summary>Begins a walk at the first virtual node at or after the key's hash.</summary>
    public Walk From(string key)
    {
        var hash = StableHash.Of(key);
        var bucket = BucketOf(hash);
        var nodes = _buckets[bucket];
        var node = 0;
        while (node < nodes.Length && nodes[node].Hash < hash)
        {
            node++;
        }

        return new Walk(_buckets, bucket, node);
    }

    /// <summary>The ring of these instances: this one if nothing changed, else made from it if little did.</summary>
    /// <param name="instances">The instances.</param>
    /// <param name="isUnrelated">Whether the result has little in common with this one.</param>
    public HashRing With(IReadOnlyList<InstanceState> instances, out bool isUnrelated)
    {
        isUnrelated = false;
        var shares = SharesOf(instances);
        var gone = NotIn(_shares, shares);
        var come = NotIn(shares, _shares);
        if (gone.Count == 0 && come.Count == 0)
        {
            return this;
        }

        isUnrelated = (gone.Count + come.Count) * 4 > instances.Count;
        var wantedBuckets = BucketsFor(CountOf(shares));
        return isUnrelated || wantedBuckets > 2 * _buckets.Length || wantedBuckets < _buckets.Length / 2
            ? new HashRing(shares)
            : new HashRing(shares, Merge(gone, come));
    }

    private static int BucketsFor(int nodes) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(2, nodes / NodesPerBucket));

    private static int CountOf(Dictionary<InstanceState, Share> shares)
    {
        var count = 0;
        foreach (var share in shares.Values)
        {
            count += share.Nodes;
        }

        return count;
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

    private static Dictionary<InstanceState, Share> NotIn(Dictionary<InstanceState, Share> shares, Dictionary<InstanceState, Share> others)
    {
        var different = new Dictionary<InstanceState, Share>();
        foreach (var (instance, share) in shares)
        {
            if (!others.TryGetValue(instance, out var other) || other != share)
            {
                different.Add(instance, share);
            }
        }

        return different;
    }

    private static Node[] NodesOf(Dictionary<InstanceState, Share> shares)
    {
        var nodes = new Node[CountOf(shares)];
        var at = 0;
        foreach (var (instance, share) in shares)
        {
            for (var i = 0; i < share.Nodes; i++)
            {
                nodes[at++] = new Node(share.HashOf(i), instance);
            }
        }

        Array.Sort(nodes, Node.Compare);
        return nodes;
    }

    private int BucketOf(ulong hash) => (int)(hash >> _shift);

    private Node[][] Merge(Dictionary<InstanceState, Share> gone, Dictionary<InstanceState, Share> come)
    {
        var buckets = (Node[][])_buckets.Clone();
        ReadOnlySpan<Node> leaving = NodesOf(gone);
        ReadOnlySpan<Node> joining = NodesOf(come);
        var merged = new List<Node>();
        while (!leaving.IsEmpty || !joining.IsEmpty)
        {
            var bucket = Math.Min(
                leaving.IsEmpty ? int.MaxValue : BucketOf(leaving[0].Hash),
                joining.IsEmpty ? int.MaxValue : BucketOf(joining[0].Hash));
            Merge(_buckets[bucket], gone, TakeBucket(ref leaving, bucket), TakeBucket(ref joining, bucket), merged);
            buckets[bucket] = [.. merged];
            merged.Clear();
        }

        return buckets;
    }

    /// <summary>Cuts off the front of sorted nodes what lies in a bucket.</summary>
    private ReadOnlySpan<Node> TakeBucket(ref ReadOnlySpan<Node> nodes, int bucket)
    {
        var length = 0;
        while (length < nodes.Length && BucketOf(nodes[length].Hash) == bucket)
        {
            length++;
        }

        var taken = nodes[..length];
        nodes = nodes[length..];
        return taken;
    }

    private static void Merge(
        Node[] bucket, Dictionary<InstanceState, Share> gone, ReadOnlySpan<Node> leaving, ReadOnlySpan<Node> joining, List<Node> merged)
    {
        foreach (var node in bucket)
        {
            // The hash alone says it for nearly all; two instances may have a node with one hash.
            while (!leaving.IsEmpty && leaving[0].Hash < node.Hash)
            {
                leaving = leaving[1..];
            }

            if (!leaving.IsEmpty && leaving[0].Hash == node.Hash && gone.ContainsKey(node.Instance))
            {
                continue;
            }

            while (!joining.IsEmpty && Node.Compare(joining[0], node) < 0)
            {
                merged.Add(joining[0]);
                joining = joining[1..];
            }

            merged.Add(node);
        }

        merged.AddRange(joining);
    }

    /// <summary>Goes from one virtual node to the next, round and round.</summary>
    public struct Walk
    {
        private readonly Node[][] _buckets;
        private Node[] _nodes;
        private int _bucket;
        private int _node;

        internal Walk(Node[][] buckets, int bucket, int node)
        {
            _buckets = buckets;
            _nodes = buckets[bucket];
            _bucket = bucket;
            _node = node;
        }

        /// <summary>The instance of the next virtual node, from the first on.</summary>
        public InstanceState Next()
        {
            while (_node >= _nodes.Length)
            {
                _bucket = (_bucket + 1) & (_buckets.Length - 1);
                _nodes = _buckets[_bucket];
                _node = 0;
            }

            return _nodes[_node++].Instance;
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Share(ulong Seed, int Nodes)
    {
        public ulong HashOf(int node) => StableHash.Mix(Seed + (ulong)node);
    }

    [StructLayout(LayoutKind.Auto)]
    internal readonly struct Node(ulong hash, InstanceState instance)
    {
        public ulong Hash => hash;

        public InstanceState Instance => instance;

        /// <summary>Of two nodes with one hash the address decides, or clients would not agree.</summary>
        public static int Compare(Node one, Node other)
        {
            if (one.Hash != other.Hash)
            {
                return one.Hash < other.Hash ? -1 : 1;
            }

            var byHost = string.CompareOrdinal(one.Instance.Record.Host, other.Instance.Record.Host);
            return byHost != 0 ? byHost : one.Instance.Record.Port.CompareTo(other.Instance.Record.Port);
        }
    }
}
