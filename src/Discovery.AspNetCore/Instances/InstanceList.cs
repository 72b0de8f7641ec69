using System.Collections;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Discovery.AspNetCore.Instances;

/// <summary>
/// Instances, in no order. Immutable; it lies in chunks, all but one or two of which the list after a change shares with the one before. To read
/// an element is one more read than that of an array.
/// </summary>
internal sealed class InstanceList : IReadOnlyList<InstanceState>
{
    /// <summary>Small enough to be copied quickly, and large enough that the array of chunks is small too.</summary>
    private const int ChunkSize = 128;

    private const int LeastChunk = 8;

    private readonly InstanceState[][] _chunks;
    private readonly ConcurrentDictionary<InstanceState, Place>? _places;
    private HashSet<InstanceState>? _members;

    private InstanceList(IReadOnlyCollection<InstanceState> instances)
    {
        Count = instances.Count;
        _chunks = Count <= ChunkSize ? [[.. instances]] : [.. instances.Chunk(ChunkSize)];
        var firstWeight = 0.0;
        foreach (var instance in instances)
        {
            var weight = instance.Weight;
            firstWeight = TotalWeight == 0 ? weight : firstWeight;
            HasEqualWeights &= weight == firstWeight;
            TotalWeight += weight;
        }
    }

    private InstanceList(InstanceState[][] chunks, int count, Builder builder)
    {
        _chunks = chunks;
        _places = builder.Places;
        Count = count;
        TotalWeight = builder.TotalWeight;
        HasEqualWeights = builder.HasEqualWeights;
    }

    /// <summary>The list of no instance.</summary>
    public static InstanceList Empty { get; } = new([]);

    public int Count { get; }

    /// <summary>What the weights were together when the list was made.</summary>
    public double TotalWeight { get; }

    /// <summary>Whether all weights were the same.</summary>
    public bool HasEqualWeights { get; } = true;

    /// <summary>In how many chunks the list lies.</summary>
    public int Chunks => _chunks.Length;

    /// <summary>The same elements for a loop that must be quick: a copy of it needs no look at the list.</summary>
    public Reader Items => new(_chunks);

    /// <summary>The same for a list of one chunk, where an element is one read.</summary>
    public OneChunkReader ItemsOfOneChunk => new(_chunks[0]);

    public InstanceState this[int index] => Items[index];

    /// <summary>These instances, copied unless they are such a list.</summary>
    public static InstanceList Of(IReadOnlyCollection<InstanceState> instances)
        => instances as InstanceList ?? (instances.Count == 0 ? Empty : new InstanceList(instances));

    /// <summary>One chunk, for a loop over all that must be quick.</summary>
    public ReadOnlySpan<InstanceState> Chunk(int chunk) => _chunks[chunk].AsSpan(0, Math.Min(ChunkSize, Count - (chunk * ChunkSize)));

    /// <summary>
    /// Whether an instance is in the list, or, where the list has a builder, in its newest list: what left since is not to be called anyway.
    /// </summary>
    public bool Contains(InstanceState instance)
        => _places?.ContainsKey(instance) ?? (_members ??= [.. this]).Contains(instance);

    public IEnumerator<InstanceState> GetEnumerator()
    {
        for (var i = 0; i < Count; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Reads the elements of a list. Implemented by structs, so that what is generic over it has no calls in it.</summary>
    internal interface IReader
    {
        InstanceState this[int index] { get; }
    }

    /// <summary>Reads the elements of a list of one chunk.</summary>
    internal readonly struct OneChunkReader(InstanceState[] chunk) : IReader
    {
        public InstanceState this[int index] => chunk[index];
    }

    /// <summary>Reads the elements of any list.</summary>
    internal readonly struct Reader(InstanceState[][] chunks) : IReader
    {
        public InstanceState this[int index] => chunks[(uint)index / ChunkSize][(uint)index % ChunkSize];
    }

    /// <summary>Where an instance is, and what it weighed when it was put there.</summary>
    [StructLayout(LayoutKind.Auto)]
    internal readonly record struct Place(int Index, double Weight);

    /// <summary>
    /// Makes lists that have most of their chunks in common. What it does takes the same time however many instances there are. Used by one
    /// thread at a time.
    /// </summary>
    internal sealed class Builder
    {
        private readonly Dictionary<double, int> _countByWeight = [];
        private InstanceState[][] _chunks = [];

        /// <summary>Whether a chunk is in no list yet, and so may be written to.</summary>
        private bool[] _isOwn = [];

        private InstanceList? _list;

        /// <summary>Begins with these instances, none of them twice.</summary>
        public Builder(IReadOnlyCollection<InstanceState> instances)
        {
            Places = new(concurrencyLevel: 1, instances.Count);
            foreach (var instance in instances)
            {
                Set(instance);
            }
        }

        /// <summary>Where each instance is. Picks look into it while it changes.</summary>
        public ConcurrentDictionary<InstanceState, Place> Places { get; }

        public int Count { get; private set; }

        public double TotalWeight { get; private set; }

        public bool HasEqualWeights => _countByWeight.Count <= 1;

        public bool Contains(InstanceState instance) => Places.ContainsKey(instance);

        /// <summary>Adds an instance, or takes its weight over if it is there.</summary>
        public void Set(InstanceState instance)
        {
            var weight = instance.Weight;
            if (!Places.TryGetValue(instance, out var place))
            {
                place = new Place(Count++, weight);
                ChunkToWrite(place.Index / ChunkSize, (place.Index % ChunkSize) + 1)[place.Index % ChunkSize] = instance;
            }
            else if (place.Weight == weight)
            {
                return;
            }
            else
            {
                Discount(place.Weight);
            }

            _list = null;
            Places[instance] = place with { Weight = weight };
            TotalWeight += weight;
            CollectionsMarshal.GetValueRefOrAddDefault(_countByWeight, weight, out _)++;
        }

        /// <summary>Removes an instance, if it is there. The last one takes its place.</summary>
        public void Remove(InstanceState instance)
        {
            if (!Places.TryRemove(instance, out var place))
            {
                return;
            }

            _list = null;
            Discount(place.Weight);
            Count--;
            var chunk = ChunkToWrite(Count / ChunkSize, (Count % ChunkSize) + 1);
            var last = chunk[Count % ChunkSize];
            chunk[Count % ChunkSize] = null!;
            if (last != instance)
            {
                ChunkToWrite(place.Index / ChunkSize, (place.Index % ChunkSize) + 1)[place.Index % ChunkSize] = last;
                Places[last] = Places[last] with { Index = place.Index };
            }
        }

        /// <summary>The list as it stands: the one before if nothing changed.</summary>
        public InstanceList ToList()
        {
            if (_list is null)
            {
                Array.Clear(_isOwn);
                _list = new InstanceList(_chunks[..((Count + ChunkSize - 1) / ChunkSize)], Count, this);
            }

            return _list;
        }

        private void Discount(double weight)
        {
            TotalWeight -= weight;
            ref var count = ref CollectionsMarshal.GetValueRefOrNullRef(_countByWeight, weight);
            if (--count == 0)
            {
                _countByWeight.Remove(weight);
            }
        }

        /// <summary>A chunk that no list has. Only the last one may be shorter than others.</summary>
        private InstanceState[] ChunkToWrite(int number, int leastLength)
        {
            if (number == _chunks.Length)
            {
                Array.Resize(ref _chunks, Math.Max(1, 2 * number));
                Array.Resize(ref _isOwn, _chunks.Length);
            }

            var chunk = _chunks[number] ?? [];
            if (chunk.Length < leastLength)
            {
                Array.Resize(ref chunk, Math.Min(ChunkSize, Math.Max(LeastChunk, 2 * chunk.Length)));
            }
            else if (!_isOwn[number])
            {
                chunk = [.. chunk];
            }

            _isOwn[number] = true;
            return _chunks[number] = chunk;
        }
    }
}
