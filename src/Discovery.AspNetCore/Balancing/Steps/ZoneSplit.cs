namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>
/// Divides calls between the client's own zone and the others. Clients are assumed to be spread evenly over the zones, so each zone is to
/// carry an equal part of all calls; a zone that has less than this part of the capacity sends the rest to other zones.
/// </summary>
internal sealed record ZoneSplit(
    List<InstanceState> SameZone, List<InstanceState> OtherZones, double SameZoneShare, bool DependsOnLatency)
{
    /// <summary>
    /// The part of the calls that leaves the zone though it need not: it keeps the latency of the other zones known and connections open.
    /// </summary>
    private const double Probe = 0.01;

    /// <summary>How often the share is computed anew where it depends on latency.</summary>
    public static TimeSpan ReviewInterval { get; } = TimeSpan.FromSeconds(1);

    public static ZoneSplit Of(List<InstanceState> instances, BalancingOptions options)
    {
        var spill = options.ZoneSpillOver;
        List<InstanceState> sameZone = options.Zone is null ? [] : [.. instances.Where(i => IsIn(options.Zone, i))];
        if (sameZone.Count == 0 || sameZone.Count < spill.MinInstances || sameZone.Count == instances.Count)
        {
            return new ZoneSplit(instances, [], 1, DependsOnLatency: false);
        }

        List<InstanceState> otherZones = [.. instances.Where(i => !IsIn(options.Zone!, i))];
        var zones = instances.Select(i => i.Record.Zone ?? "").Distinct(StringComparer.OrdinalIgnoreCase).Count();
        var fairShare = sameZone.Sum(i => i.Weight) * zones / instances.Sum(i => i.Weight);
        var share = fairShare * 100 >= spill.MinCapacityPercent ? 1 : fairShare;
        if (spill.LatencyRatio > 0)
        {
            share = Math.Min(Math.Min(share, LatencyShare(sameZone, otherZones, spill.LatencyRatio)), 1 - Probe);
        }

        return new ZoneSplit(sameZone, otherZones, share, DependsOnLatency: spill.LatencyRatio > 0);
    }

    private static double LatencyShare(List<InstanceState> sameZone, List<InstanceState> otherZones, double tolerated)
    {
        var known = otherZones.Where(i => i.Latency > TimeSpan.Zero).Select(i => i.Latency.TotalSeconds).DefaultIfEmpty().Average();
        var own = sameZone.Average(i => i.Latency.TotalSeconds);
        return known == 0 || own <= known * tolerated ? 1 : known * tolerated / own;
    }

    private static bool IsIn(string zone, InstanceState instance)
        => string.Equals(zone, instance.Record.Zone, StringComparison.OrdinalIgnoreCase);
}
