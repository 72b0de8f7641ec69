using Discovery.AspNetCore.Balancing.Steps;

namespace Discovery.AspNetCore;

/// <summary>
/// How calls are spread over the instances of a service. Bound from the section that also holds the other discovery settings.
/// </summary>
public class BalancingOptions
{
    /// <summary>
    /// The policy's name: <c>LeastLoad</c>, <c>RoundRobin</c>, <c>WeightedRoundRobin</c>, <c>Random</c>, <c>ConsistentHash</c>,
    /// <c>PickFirst</c> (<see cref="BalancingPolicies"/>), or one of your own <see cref="IBalancingPolicy"/>; compared without regard to case.
    /// Default: <c>LeastLoad</c>, which the simulator in this repository found best.
    /// </summary>
    public string Policy { get; set; } = BalancingPolicies.LeastLoad;

    /// <summary>
    /// The zone that this client runs in, matched without regard to case against <see cref="ServiceInstance.Zone"/>. Its instances are
    /// called first. Default: <see langword="null"/>, zones do not matter.
    /// </summary>
    public string? Zone { get; set => field = value is "" ? null : value; }

    /// <summary>When calls leave the own zone. Matters only if <see cref="Zone"/> is set.</summary>
    public ZoneSpillOverOptions ZoneSpillOver { get; set; } = new();

    /// <summary>When an instance that fails is left out for a while.</summary>
    public EjectionOptions Ejection { get; set; } = new();

    /// <summary>
    /// How long an instance that joins a running client, or comes back from ejection, takes to get its full share, from a tenth upwards.
    /// Instances that are found before the client's first calls were answered get theirs at once. 0 turns it off; at most an hour.
    /// Default: 15 seconds, about what a .NET server takes to compile its hot paths and fill its pools.
    /// </summary>
    public TimeSpan SlowStart { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// How many instances this client uses at most; each client takes other ones, so that all are used evenly, and a server that comes or
    /// goes changes at most one of them. 0 uses all. Default: 0. Worth setting (20 to 100) once clients times instances means too many
    /// connections.
    /// </summary>
    public int SubsetSize { get; set; }

    /// <summary>
    /// What tells this client from the others when <see cref="SubsetSize"/> is set. Clients that share a name and end in a number
    /// (<c>web-0</c>, <c>web-1</c>, …) are spread evenly to within two; others are spread by hash. Default: the machine's name.
    /// </summary>
    public string? ClientId { get; set => field = value is "" ? null : value; }

    /// <summary>
    /// With <c>ConsistentHash</c>: how much more than the average an instance may have in flight before a key's calls go to the next one;
    /// up to ten calls it may always have. 1 to 100. Default: 1.25, the value recommended by the authors of consistent hashing with bounded loads:
    /// few keys move, and no busy instance holds more than a quarter above average.
    /// </summary>
    public double HashBound { get; set; } = 1.25;

    /// <summary>Takes over all settings of others, of which nothing is shared then.</summary>
    private protected void CopyFrom(BalancingOptions other)
    {
        Policy = other.Policy;
        Zone = other.Zone;
        ZoneSpillOver = other.ZoneSpillOver.Copy();
        Ejection = other.Ejection.Copy();
        SlowStart = other.SlowStart;
        SubsetSize = other.SubsetSize;
        ClientId = other.ClientId;
        HashBound = other.HashBound;
    }
}
