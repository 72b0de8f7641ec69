using System.Runtime.InteropServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>Makes rings, each from the one before as far as little has changed. Used by one thread at a time; the rings are immutable.</summary>
internal sealed class HashRingBuilder
{
    /// <summary>128 for an instance of the usual weight of 10: with this many, shares of keys differ by about a tenth.</summary>
    private const double NodesPerWeight = 12.8;

    /// <summary>How many virtual nodes an instance has on average at least, where weights are small.</summary>
    private const double LeastNodes = 100;

    /// <summary>The same at most, where weights are large: more cost time and memory and even out nothing.</summary>
    private const double EnoughNodes = 2500;

    /// <summary>Very large services get fewer, or the ring would outgrow the cache and take long to build.</summary>
    private const int MostNodes = 1 << 18;

    private readonly Dictionary<double, int> _countByWeight = [];
    private readonly Dictionary<InstanceState, Member> _members;
    private double _nodesPerWeight;

    public HashRingBuilder(IReadOnlyCollection<InstanceState> instances)
        : this(MembersOf(instances))
    {
        Ring = Build();
    }

    private HashRingBuilder(Dictionary<InstanceState, Member> members)
    {
        _members = members;
        var weight = 0.0;
        foreach (var member in members.Values)
        {
            weight += member.Weight;
            CollectionsMarshal.GetValueRefOrAddDefault(_countByWeight, member.Weight, out _)++;
        }

        _nodesPerWeight = NodesPerWeightOf(weight, members.Count);
        Ring = null!;
    }

    /// <summary>The ring as it stands.</summary>
    public HashRing Ring { get; private set; }

    /// <summary>How many instances are on it.</summary>
    public int Count => _members.Count;

    /// <summary>Whether a balancer has changes told to this builder, so that no other must take it over.</summary>
    public bool IsFollowed { get; private set; }

    /// <summary>The builder of a ring of these instances: this one if nothing changed, else another, whose ring shares with this one what it can.</summary>
    /// <param name="instances">The instances.</param>
    /// <returns>Null if the ring would have little in common with this one.</returns>
    public HashRingBuilder? With(IReadOnlyCollection<InstanceState> instances)
    {
        var next = new HashRingBuilder(MembersOf(instances));
        var gone = NotIn(next);
        var come = next.NotIn(this);
        if ((gone.Count + come.Count) * 4 > instances.Count)
        {
            return null;
        }

        if (gone.Count == 0 && come.Count == 0)
        {
            return this;
        }

        next.Ring = next.BuildFrom(Ring, gone, come);
        return next;
    }

    /// <summary>Takes over what changed; from now on it is to be told of all changes.</summary>
    /// <param name="instances">All instances, as they are now.</param>
    /// <param name="changes">At least those that differ from what this builder has.</param>
    public void Update(InstanceList instances, IReadOnlyCollection<InstanceChange> changes)
    {
        IsFollowed = true;
        var nodesPerWeight = NodesPerWeightOf(instances.TotalWeight, instances.Count);
        var isSameForOthers = _countByWeight.Keys.All(w => NodesOf(w, nodesPerWeight) == NodesOf(w, _nodesPerWeight));
        Dictionary<InstanceState, HashRing.Share> gone = [];
        Dictionary<InstanceState, HashRing.Share> come = [];
        foreach (var (instance, _) in changes)
        {
            Member? member = instances.Contains(instance) ? new Member(instance.KeyHash, instance.Weight) : null;
            Member? before = _members.TryGetValue(instance, out var known) ? known : null;
            if (member == before)
            {
                continue;
            }

            if (before is { } old)
            {
                gone.Add(instance, old.ShareAt(_nodesPerWeight));
                Remove(instance, old);
            }

            if (member is { } added)
            {
                come.Add(instance, added.ShareAt(nodesPerWeight));
                Add(instance, added);
            }
        }

        _nodesPerWeight = nodesPerWeight;
        if (!isSameForOthers)
        {
            Ring = Build();
        }
        else if (gone.Count > 0 || come.Count > 0)
        {
            Ring = BuildFrom(Ring, gone, come);
        }
    }

    /// <summary>How many nodes each instance has. It depends on its own weight only, so that removing one moves only its keys.</summary>
    private static double NodesPerWeightOf(double weight, int count)
    {
        // Extreme weights are scaled by the mean weight; then up to one instance's share of other keys may move too.
        var mean = weight / count;
        var perWeight = Math.Clamp(NodesPerWeight, LeastNodes / mean, EnoughNodes / mean);
        return perWeight * Math.Min(1, MostNodes / (weight * perWeight));
    }

    private static int NodesOf(double weight, double nodesPerWeight) => Math.Max(1, (int)Math.Round(weight * nodesPerWeight));

    private static Dictionary<InstanceState, Member> MembersOf(IReadOnlyCollection<InstanceState> instances)
    {
        var members = new Dictionary<InstanceState, Member>(instances.Count);
        foreach (var instance in instances)
        {
            members[instance] = new Member(instance.KeyHash, instance.Weight);
        }

        return members;
    }

    private void Add(InstanceState instance, Member member)
    {
        _members.Add(instance, member);
        CollectionsMarshal.GetValueRefOrAddDefault(_countByWeight, member.Weight, out _)++;
    }

    private void Remove(InstanceState instance, Member member)
    {
        _members.Remove(instance);
        if (--CollectionsMarshal.GetValueRefOrNullRef(_countByWeight, member.Weight) == 0)
        {
            _countByWeight.Remove(member.Weight);
        }
    }

    private HashRing BuildFrom(HashRing ring, Dictionary<InstanceState, HashRing.Share> gone, Dictionary<InstanceState, HashRing.Share> come)
        => ring.HasRoomFor(ring.Count - gone.Values.Sum(static s => s.Nodes) + come.Values.Sum(static s => s.Nodes)) ? ring.With(gone, come) : Build();

    private HashRing Build()
    {
        var shares = new Dictionary<InstanceState, HashRing.Share>(_members.Count);
        foreach (var (instance, member) in _members)
        {
            shares.Add(instance, member.ShareAt(_nodesPerWeight));
        }

        return new HashRing(shares);
    }

    private Dictionary<InstanceState, HashRing.Share> NotIn(HashRingBuilder other)
    {
        var different = new Dictionary<InstanceState, HashRing.Share>();
        foreach (var (instance, member) in _members)
        {
            var share = member.ShareAt(_nodesPerWeight);
            if (!other._members.TryGetValue(instance, out var others) || others.ShareAt(other._nodesPerWeight) != share)
            {
                different.Add(instance, share);
            }
        }

        return different;
    }

    /// <summary>What an instance's nodes follow from, as it was when it was put on the ring.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Member(ulong KeyHash, double Weight)
    {
        public HashRing.Share ShareAt(double nodesPerWeight) => new(KeyHash, NodesOf(Weight, nodesPerWeight));
    }
}
