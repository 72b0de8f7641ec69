namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// The rings that a service's balancers used last. Most changes touch few instances, and the ring is what costs most to build. A service has
/// several: by scheme, zone and version.
/// </summary>
internal sealed class RingCache
{
    private const int MaxRings = 4;

    private readonly Lock _gate = new();
    private readonly List<(int Count, HashRing Ring)> _rings = [];

    public HashRing Get(IReadOnlyList<InstanceState> instances)
    {
        lock (_gate)
        {
            // The one that is nearest in size, of several the latest.
            var nearest = -1;
            for (var i = 0; i < _rings.Count; i++)
            {
                if (nearest < 0 || Math.Abs(_rings[i].Count - instances.Count) < Math.Abs(_rings[nearest].Count - instances.Count))
                {
                    nearest = i;
                }
            }

            var isUnrelated = true;
            var ring = nearest < 0 ? new HashRing(instances) : _rings[nearest].Ring.With(instances, out isUnrelated);
            if (!isUnrelated)
            {
                _rings.RemoveAt(nearest);
            }

            _rings.Insert(0, (instances.Count, ring));
            if (_rings.Count > MaxRings)
            {
                _rings.RemoveAt(MaxRings);
            }

            return ring;
        }
    }
}
