namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Divides calls between the client's own zone and the others. Clients are assumed to be spread evenly over the zones, so each zone is to
/// carry an equal part of all calls; a zone that has less than this part of the capacity sends on the rest.
/// </summary>
internal sealed record ZoneSplit(
    List<ServiceEndpoint> Home, List<ServiceEndpoint> Elsewhere, double HomeShare, bool DependsOnLatency)
{
    /// <summary>
    /// The part of the calls that leaves the zone though it need not: it keeps the latency elsewhere known and connections open.
    /// </summary>
    private const double Probe = 0.01;

    /// <summary>How often the share is computed anew where it depends on latency.</summary>
    public static TimeSpan ReviewInterval { get; } = TimeSpan.FromSeconds(1);

    public static ZoneSplit Of(List<ServiceEndpoint> endpoints, BalancingOptions options)
    {
        var spill = options.ZoneSpillOver;
        List<ServiceEndpoint> home = options.Zone is null ? [] : [.. endpoints.Where(e => IsIn(options.Zone, e))];
        if (home.Count == 0 || home.Count < spill.MinEndpoints || home.Count == endpoints.Count)
        {
            return new ZoneSplit(endpoints, [], 1, DependsOnLatency: false);
        }

        List<ServiceEndpoint> elsewhere = [.. endpoints.Where(e => !IsIn(options.Zone!, e))];
        var zones = endpoints.Select(e => e.Instance.Zone ?? "").Distinct(StringComparer.OrdinalIgnoreCase).Count();
        var fairShare = home.Sum(e => e.Weight) * zones / endpoints.Sum(e => e.Weight);
        var share = fairShare * 100 >= spill.MinCapacityPercent ? 1 : fairShare;
        if (spill.LatencyRatio > 0)
        {
            share = Math.Min(Math.Min(share, LatencyShare(home, elsewhere, spill.LatencyRatio)), 1 - Probe);
        }

        return new ZoneSplit(home, elsewhere, share, DependsOnLatency: spill.LatencyRatio > 0);
    }

    private static double LatencyShare(List<ServiceEndpoint> home, List<ServiceEndpoint> elsewhere, double tolerated)
    {
        var known = elsewhere.Where(e => e.Latency > TimeSpan.Zero).Select(e => e.Latency.TotalSeconds).DefaultIfEmpty().Average();
        var own = home.Average(e => e.Latency.TotalSeconds);
        return known == 0 || own <= known * tolerated ? 1 : known * tolerated / own;
    }

    private static bool IsIn(string zone, ServiceEndpoint endpoint)
        => string.Equals(zone, endpoint.Instance.Zone, StringComparison.OrdinalIgnoreCase);
}
