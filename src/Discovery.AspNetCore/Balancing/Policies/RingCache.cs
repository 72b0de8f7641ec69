using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// The rings that a service's balancers used last. Most changes touch few instances, and the ring is what costs most to build. A service has
/// several: by scheme, zone and version.
/// </summary>
internal sealed class RingCache
{
    private const int MaxRings = 4;

    private readonly Lock _gate = new();
    private readonly List<HashRingBuilder> _rings = [];

    /// <summary>The builder of a ring of these instances.</summary>
    public HashRingBuilder Get(IReadOnlyCollection<InstanceState> instances)
    {
        lock (_gate)
        {
            // The one that is nearest in size, of several the latest.
            var nearest = _rings.MinBy(r => Math.Abs(r.Count - instances.Count));
            var builder = nearest?.With(instances);
            if (builder is not null && !nearest!.IsFollowed)
            {
                _rings.Remove(nearest);
            }

            builder ??= new HashRingBuilder(instances);
            _rings.Remove(builder);
            _rings.Insert(0, builder);
            if (_rings.Count > MaxRings)
            {
                _rings.RemoveAt(MaxRings);
            }

            return builder;
        }
    }

    /// <summary>The builder of a ring that a few changes have made from another, if that is its builder's latest.</summary>
    public HashRingBuilder Update(HashRingBuilder before, HashRing ring, InstanceList instances, IReadOnlyCollection<InstanceChange> changes)
    {
        lock (_gate)
        {
            if (before.Ring == ring)
            {
                before.Update(instances, changes);
                return before;
            }
        }

        return Get(instances);
    }
}
