using System.Numerics;
using System.Runtime.InteropServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// A consistent-hash ring. Each instance has many virtual nodes, in proportion to its weight; when it leaves, only its own keys move.
/// Immutable. The ring lies in buckets of a few dozen nodes, by the first bits of their hashes, and the buckets in groups; a ring of nearly the same
/// instances shares with the one before all buckets and groups in which nothing changed. Made by <see cref="HashRingBuilder"/>.
/// </summary>
internal sealed class HashRing
{
    /// <summary>A bucket of this size is copied quickly, and there are few enough of them.</summary>
    private const int NodesPerBucket = 32;

    /// <summary>A group is copied with each of its buckets that changes, and the array of groups with each change.</summary>
    private const int BucketsPerGroup = 64;

    private readonly Node[][][] _groups;
    private readonly int _shift;

    /// <summary>Makes a ring of these nodes.</summary>
    /// <param name="shares">The instances with their nodes.</param>
    public HashRing(Dictionary<InstanceState, Share> shares)
        : this(shares.Values.Sum(static s => s.Nodes))
    {
        var sizes = new int[Buckets];
        foreach (var share in shares.Values)
        {
            for (var i = 0; i < share.Nodes; i++)
            {
                sizes[BucketOf(share.HashOf(i))]++;
            }
        }

        for (var i = 0; i < sizes.Length; i++)
        {
            _groups[i / BucketsPerGroup][i % BucketsPerGroup] = sizes[i] == 0 ? [] : new Node[sizes[i]];
        }

        foreach (var (instance, share) in shares)
        {
            for (var i = 0; i < share.Nodes; i++)
            {
                var hash = share.HashOf(i);
                var bucket = BucketOf(hash);
                BucketAt(bucket)[--sizes[bucket]] = new Node(hash, instance);
            }
        }

        for (var i = 0; i < sizes.Length; i++)
        {
            Array.Sort(BucketAt(i), Node.Compare);
        }
    }

    private HashRing(int count)
        : this(NewGroups(BucketsFor(count)), count)
    {
    }

    private HashRing(Node[][][] groups, int count)
    {
        _groups = groups;
        Buckets = groups.Length * groups[0].Length;
        _shift = 64 - BitOperations.Log2((uint)Buckets);
        Count = count;
    }

    /// <summary>How many virtual nodes there are; at least one.</summary>
    public int Count { get; }

    private int Buckets { get; }

    /// <summary>Begins a walk at the first virtual node at or after the key's hash.</summary>
    public Walk From(string key)
    {
        var hash = StableHash.Of(key);
        var bucket = BucketOf(hash);
        var nodes = BucketAt(bucket);
        var node = 0;
        while (node < nodes.Length && nodes[node].Hash < hash)
        {
            node++;
        }

        return new Walk(this, bucket, node);
    }

    /// <summary>Makes a ring that differs in some instances, at a cost that depends on these alone.</summary>
    /// <param name="gone">Those that are no longer there, or have other nodes now, with the nodes that this ring has of them.</param>
    /// <param name="come">Those that are there, with nodes that this ring does not have.</param>
    public HashRing With(Dictionary<InstanceState, Share> gone, Dictionary<InstanceState, Share> come)
    {
        ReadOnlySpan<Node> leaving = NodesOf(gone);
        ReadOnlySpan<Node> joining = NodesOf(come);
        var groups = (Node[][][])_groups.Clone();
        var count = Count - leaving.Length + joining.Length;
        var merged = new List<Node>();
        while (!leaving.IsEmpty || !joining.IsEmpty)
        {
            var bucket = Math.Min(
                leaving.IsEmpty ? int.MaxValue : BucketOf(leaving[0].Hash),
                joining.IsEmpty ? int.MaxValue : BucketOf(joining[0].Hash));
            Merge(BucketAt(bucket), gone, TakeBucket(ref leaving, bucket), TakeBucket(ref joining, bucket), merged);
            ref var group = ref groups[bucket / BucketsPerGroup];
            if (ReferenceEquals(group, _groups[bucket / BucketsPerGroup]))
            {
                group = [.. group];
            }

            group[bucket % BucketsPerGroup] = [.. merged];
            merged.Clear();
        }

        return new HashRing(groups, count);
    }

    /// <summary>Whether the buckets of this ring suit another number of nodes.</summary>
    public bool HasRoomFor(int nodes) => BucketsFor(nodes) is var wanted && wanted <= 2 * Buckets && wanted >= Buckets / 2;

    private static int BucketsFor(int nodes) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(2, nodes / NodesPerBucket));

    private static Node[][][] NewGroups(int buckets)
    {
        var groups = new Node[Math.Max(1, buckets / BucketsPerGroup)][][];
        for (var i = 0; i < groups.Length; i++)
        {
            groups[i] = new Node[Math.Min(buckets, BucketsPerGroup)][];
        }

        return groups;
    }

    private static Node[] NodesOf(Dictionary<InstanceState, Share> shares)
    {
        var nodes = new Node[shares.Values.Sum(static s => s.Nodes)];
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

    private Node[] BucketAt(int bucket) => _groups[(uint)bucket / BucketsPerGroup][(uint)bucket % BucketsPerGroup];

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
        private readonly HashRing _ring;
        private Node[] _nodes;
        private int _bucket;
        private int _node;

        internal Walk(HashRing ring, int bucket, int node)
        {
            _ring = ring;
            _nodes = ring.BucketAt(bucket);
            _bucket = bucket;
            _node = node;
        }

        /// <summary>The instance of the next virtual node, from the first on.</summary>
        public InstanceState Next()
        {
            while (_node >= _nodes.Length)
            {
                _bucket = (_bucket + 1) & (_ring.Buckets - 1);
                _nodes = _ring.BucketAt(_bucket);
                _node = 0;
            }

            return _nodes[_node++].Instance;
        }
    }

    /// <summary>The virtual nodes of an instance: a number of hashes that follow from a seed.</summary>
    [StructLayout(LayoutKind.Auto)]
    internal readonly record struct Share(ulong Seed, int Nodes)
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
