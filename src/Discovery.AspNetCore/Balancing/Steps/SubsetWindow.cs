using System.Collections.Immutable;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>
/// What <see cref="Subset.Choose"/> chooses, while instances come and go: a change costs what the size of the subset is, and the logarithm of how many
/// instances there are. Used by one thread at a time.
/// </summary>
internal sealed class SubsetWindow(int size, string clientId)
{
    private readonly double _position = Subset.PositionOf(clientId);
    private readonly ImmutableSortedSet<Place>.Builder _ring = ImmutableSortedSet.CreateBuilder(Place.Order);
    private readonly Dictionary<InstanceState, Place> _places = [];
    private HashSet<InstanceState> _chosen = [];
    private bool _isChanged;

    /// <summary>Whether there are instances beside those that are chosen.</summary>
    public bool HasOthers => _ring.Count > size;

    /// <summary>Whether an instance was chosen at the last <see cref="Choose"/>.</summary>
    public bool IsChosen(InstanceState instance) => _chosen.Contains(instance);

    /// <summary>Adds an instance, or puts it where its key is now.</summary>
    public void Set(InstanceState instance)
    {
        var place = new Place(instance.KeyHash, instance.Record.Key, instance);
        if (_places.TryGetValue(instance, out var before))
        {
            if (before == place)
            {
                return;
            }

            _ring.Remove(before);
        }

        if (_ring.TryGetValue(place, out var predecessor))
        {
            // Another process has the key and the address of one that is removed later.
            Remove(predecessor.Instance);
        }

        _places[instance] = place;
        _ring.Add(place);
        _isChanged = true;
    }

    /// <summary>Removes an instance, if it is there.</summary>
    public void Remove(InstanceState instance)
    {
        if (_places.Remove(instance, out var place))
        {
            _ring.Remove(place);
            _isChanged = true;
        }
    }

    /// <summary>Chooses anew.</summary>
    /// <returns>Those that are chosen and were not, and those that were and are not.</returns>
    public (IReadOnlyList<InstanceState> Added, IReadOnlyList<InstanceState> Removed) Choose()
    {
        if (!_isChanged)
        {
            return ([], []);
        }

        _isChanged = false;
        var first = (int)(_position * _ring.Count);
        var count = Math.Min(size, _ring.Count);
        var chosen = new HashSet<InstanceState>(count);
        List<InstanceState> added = [];
        for (var i = 0; i < count; i++)
        {
            var instance = _ring[(first + i) % _ring.Count].Instance;
            chosen.Add(instance);
            if (!_chosen.Remove(instance))
            {
                added.Add(instance);
            }
        }

        List<InstanceState> removed = [.. _chosen];
        _chosen = chosen;
        return (added, removed);
    }

    /// <summary>An instance at the place that its key has given it; the instance's record may have changed since.</summary>
    private readonly record struct Place(ulong Hash, string Key, InstanceState Instance)
    {
        public static IComparer<Place> Order { get; } = Comparer<Place>.Create(
            static (one, other) => Subset.Compare(one.Hash, one.Key, one.Instance, other.Hash, other.Key, other.Instance));
    }
}
