using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>What a pool has counted, and how its instances stand, at a moment.</summary>
internal sealed record PoolCounts
{
    /// <summary>How many instances of a service are told apart: each is a time series, and a service may have thousands.</summary>
    public const int MaxInstances = 50;

    public required ServiceTags Tags { get; init; }

    /// <summary>How often an instance was picked.</summary>
    public required long Picked { get; init; }

    /// <summary>How often there was none for a call.</summary>
    public required long NotPicked { get; init; }

    public required long EjectionsEnforced { get; init; }

    public required long EjectionsUnenforced { get; init; }

    /// <summary>The calls under way.</summary>
    public required int ActiveCalls { get; init; }

    /// <summary>How many instances are in which state; a state that none is in stands there too.</summary>
    public required IReadOnlyDictionary<string, int> States { get; init; }

    /// <summary>The calls that instances got, by their id or address: of a bounded number of instances.</summary>
    public required IReadOnlyList<(string Instance, long Calls)> ByInstance { get; init; }

    /// <summary>Counts.</summary>
    /// <param name="instances">The pool's instances, which do not change meanwhile.</param>
    /// <param name="tags">The pool's tags.</param>
    /// <param name="notPicked">See <see cref="NotPicked"/>.</param>
    /// <param name="context">What the instances share.</param>
    public static PoolCounts Of(PoolInstances instances, ServiceTags tags, long notPicked, InstanceContext context)
    {
        var now = context.Clock.GetTimestamp();
        var states = new Dictionary<string, int>(StringComparer.Ordinal)
        {
            ["available"] = 0, ["draining"] = 0, ["ejected"] = 0, ["held"] = 0, ["refused"] = instances.Refused,
        };
        foreach (var instance in instances.All)
        {
            states[StateOf(instance, now)]++;
        }

        return new PoolCounts
        {
            Tags = tags,
            Picked = instances.CallsOfRetired + instances.All.Sum(static i => i.Calls),
            NotPicked = notPicked,
            EjectionsEnforced = context.Ejections.Enforced,
            EjectionsUnenforced = context.Ejections.NotEnforced,
            ActiveCalls = instances.All.Sum(static i => i.InFlight),
            States = states,
            ByInstance =
            [
                .. instances.All.OrderBy(static i => i.Record.Address, StringComparer.Ordinal).Take(MaxInstances)
                    .GroupBy(static i => i.Record.InstanceId ?? i.Record.Address, StringComparer.Ordinal)
                    .Select(static g => (g.Key, g.Sum(static i => i.Calls))),
            ],
        };
    }

    private static string StateOf(InstanceState instance, long now)
        => instance.IsHeld ? "held" : instance.Record.IsDraining ? "draining" : instance.Health.WantsEjection(now) ? "ejected" : "available";
}
