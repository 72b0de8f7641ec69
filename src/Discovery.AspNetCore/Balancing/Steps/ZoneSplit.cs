using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>
/// Divides calls between the client's own zone and the others. Clients are assumed to be spread evenly over the zones, so each zone is to
/// carry an equal part of all calls; a zone that has less than this part of the capacity sends the rest to other zones.
/// </summary>
internal sealed class ZoneSplit
{
    /// <summary>
    /// The part of the calls that leaves the zone though it need not: it keeps the latency of the other zones known and connections open.
    /// </summary>
    private const double Probe = 0.01;

    private readonly double _capacityShare;
    private readonly double _latencyRatio;
    private readonly InstanceContext? _context;
    private readonly long _reviewTicks;
    private long _reviewedAt;
    private double _share;

    private ZoneSplit(IReadOnlyList<InstanceState> sameZone, IReadOnlyList<InstanceState> otherZones, double share, InstanceContext? context)
    {
        SameZone = sameZone;
        OtherZones = otherZones;
        _capacityShare = share;
        _share = share;
        _context = context;
        if (context is not null)
        {
            _latencyRatio = context.Options.ZoneSpillOver.LatencyRatio;
            _reviewTicks = context.ToTicks(TimeSpan.FromSeconds(1));
            _reviewedAt = context.CoarseNow;
            _share = ShareByLatency();
        }
    }

    /// <summary>The instances of the own zone, or all of them where zones do not matter.</summary>
    public IReadOnlyList<InstanceState> SameZone { get; }

    /// <summary>Those of the other zones that get some of the calls.</summary>
    public IReadOnlyList<InstanceState> OtherZones { get; }

    /// <summary>
    /// The share of calls that stays in the own zone. Where it depends on latency a call computes it anew once a second, so that a client
    /// without calls does nothing.
    /// </summary>
    public double SameZoneShare
    {
        get
        {
            if (_context is not null)
            {
                var reviewedAt = Volatile.Read(ref _reviewedAt);
                var now = _context.CoarseNow;
                if (now - reviewedAt >= _reviewTicks && Interlocked.CompareExchange(ref _reviewedAt, now, reviewedAt) == reviewedAt)
                {
                    Volatile.Write(ref _share, ShareByLatency());
                }
            }

            return Volatile.Read(ref _share);
        }
    }

    public static ZoneSplit Of(IReadOnlyList<InstanceState> instances, InstanceContext context)
    {
        if (context.Options.Zone is not { } zone)
        {
            return new ZoneSplit(instances, [], 1, context: null);
        }

        List<InstanceState> sameZone = [];
        List<InstanceState> otherZones = [];
        HashSet<string> zones = new(StringComparer.OrdinalIgnoreCase);
        var (capacity, ownCapacity) = (0.0, 0.0);
        foreach (var instance in instances)
        {
            var isOwn = string.Equals(zone, instance.Record.Zone, StringComparison.OrdinalIgnoreCase);
            (isOwn ? sameZone : otherZones).Add(instance);
            capacity += instance.Weight;
            if (isOwn)
            {
                ownCapacity += instance.Weight;
            }
            else
            {
                zones.Add(instance.Record.Zone ?? "");
            }
        }

        var spill = context.Options.ZoneSpillOver;
        if (sameZone.Count == 0 || sameZone.Count < spill.MinInstances || otherZones.Count == 0)
        {
            return new ZoneSplit(instances, [], 1, context: null);
        }

        var fairShare = ownCapacity * (zones.Count + 1) / capacity;
        var share = fairShare * 100 >= spill.MinCapacityPercent ? 1 : fairShare;
        return new ZoneSplit(sameZone, otherZones, share, spill.LatencyRatio > 0 ? context : null);
    }

    private double ShareByLatency()
    {
        var now = _context!.CoarseNow;
        var known = AverageLatency(OtherZones, now, onlyKnown: true);
        var own = AverageLatency(SameZone, now, onlyKnown: false);
        var share = known == 0 || own <= known * _latencyRatio ? 1 : known * _latencyRatio / own;
        return Math.Min(Math.Min(_capacityShare, share), 1 - Probe);
    }

    private static double AverageLatency(IReadOnlyList<InstanceState> instances, long now, bool onlyKnown)
    {
        var (sum, count) = (0.0, 0);
        foreach (var instance in instances)
        {
            var latency = instance.LatencyAt(now);
            if (latency > 0 || !onlyKnown)
            {
                sum += latency;
                count++;
            }
        }

        return count == 0 ? 0 : sum / count;
    }
}
