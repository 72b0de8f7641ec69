namespace Discovery.AspNetCore;

/// <summary>When calls leave the client's own zone.</summary>
public sealed class ZoneSpillOverOptions
{
    /// <summary>How many healthy instances the own zone must have; with fewer, zones do not matter. 1 to 1000. Default: 1.</summary>
    public int MinInstances { get; set; } = 1;

    /// <summary>
    /// The least share of a fair part of the capacity, in percent, that the own zone must have to keep all calls; 1 to 100. With three
    /// zones a third is fair; a zone with less than this share of a third sends the rest to other zones. Default: 70, a zone of two
    /// among zones of three then keeps all of its calls.
    /// </summary>
    public int MinCapacityPercent { get; set; } = 70;

    /// <summary>
    /// How many times the latency of the other zones the own zone may have; beyond it, calls leave in proportion. 1 to 1000. To know the
    /// latency of the other zones, one call in a hundred goes there. 0 turns both off. Default: 3, well above what a healthy zone differs by.
    /// </summary>
    public double LatencyRatio { get; set; } = 3;

    internal ZoneSpillOverOptions Copy() => (ZoneSpillOverOptions)MemberwiseClone();
}
