using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing;

/// <summary>
/// Chooses the instance of each call until the next change. Immutable and swapped whole; built by <see cref="BalancerBuilder"/>.
/// A pick takes no lock and allocates nothing.
/// </summary>
internal sealed class Balancer
{
    private const int PolicyAttempts = 3;

    private readonly InstancePicker? _picker;
    private readonly InstancePicker? _otherZones;
    private readonly ZoneSplit? _zones;
    private readonly SlowStart? _slowStart;

    /// <summary>Puts the parts together.</summary>
    /// <param name="picker">Chooses among the instances in use, or those of the own zone; <see langword="null"/> if there are none.</param>
    /// <param name="otherZones">Chooses among those of the other zones, if some calls go there.</param>
    /// <param name="zones">What part of the calls goes there.</param>
    /// <param name="slowStart">What spares instances that start; <see langword="null"/> if none does.</param>
    /// <param name="tiers">See <see cref="Tiers"/>.</param>
    /// <param name="rebuildAfter">See <see cref="RebuildAfter"/>.</param>
    public Balancer(
        InstancePicker? picker,
        InstancePicker? otherZones,
        ZoneSplit? zones,
        SlowStart? slowStart,
        IReadOnlyList<InstanceState>[] tiers,
        TimeSpan? rebuildAfter)
    {
        _picker = picker;
        _otherZones = otherZones;
        _zones = zones;
        _slowStart = slowStart;
        Tiers = tiers;
        RebuildAfter = rebuildAfter;
    }

    /// <summary>After this long the balancer is out of date and must be built again, though nothing was reported. Null: never.</summary>
    public TimeSpan? RebuildAfter { get; }

    /// <summary>All instances, those to be preferred first: where a failover looks for one that was not tried.</summary>
    public IReadOnlyList<IReadOnlyList<InstanceState>> Tiers { get; }

    /// <summary>The instances that get calls when nothing fails.</summary>
    public IReadOnlyList<InstanceState> InUse => Tiers[0];

    /// <summary>The instances that start slowly.</summary>
    public IReadOnlyList<InstanceState> Starting => _slowStart?.Starting ?? [];

    /// <summary>Chooses an instance, or null if there is none at all.</summary>
    public InstanceState? Pick(in PickArguments arguments) => _slowStart is null ? PickByPolicy(arguments) : _slowStart.Pick(this, arguments);

    /// <summary>Whether the policy goes by the load of instances, and so spares those that start.</summary>
    public bool GoesByLoad(in PickArguments arguments) => _picker?.GoesByLoad(arguments) == true;

    /// <summary>Chooses without regard to slow start.</summary>
    public InstanceState? PickByPolicy(in PickArguments arguments)
    {
        if (_otherZones is not null && PositionOf(arguments) >= _zones!.SameZoneShare)
        {
            return _otherZones.Pick(arguments);
        }

        return _picker?.Pick(arguments);
    }

    /// <summary>Chooses an instance that is not among those to avoid, or null if all are.</summary>
    /// <param name="arguments">The call, with the number of instances that it tried.</param>
    /// <param name="avoided">First those, then others that it is not to go to.</param>
    public InstanceState? Pick(in PickArguments arguments, ReadOnlySpan<InstanceState> avoided)
    {
        // One that was ejected or left since is no longer in a policy's order: to count it would skip the next one.
        var attempt = CountInUse(avoided[..Math.Min(arguments.Attempt, avoided.Length)]);
        for (var i = 0; i < PolicyAttempts; i++)
        {
            // A policy with an order of instances would choose the same one again.
            if (Pick(arguments with { Attempt = attempt + i }) is { } instance && !Contains(avoided, instance))
            {
                return instance;
            }
        }

        foreach (var tier in Tiers)
        {
            var start = tier.Count == 0 ? 0 : FastRandom.Below(tier.Count);
            for (var i = 0; i < tier.Count; i++)
            {
                var instance = tier[(start + i) % tier.Count];
                if (!Contains(avoided, instance))
                {
                    return instance;
                }
            }
        }

        return null;
    }

    private int CountInUse(ReadOnlySpan<InstanceState> tried)
    {
        var count = 0;
        foreach (var instance in tried)
        {
            if (InUse is InstanceList list ? list.Contains(instance) : InUse.Contains(instance))
            {
                count++;
            }
        }

        return count;
    }

    /// <summary>A key's calls must stay in one zone, so its hash decides; without a key it is chance.</summary>
    private static double PositionOf(in PickArguments arguments)
        => arguments.HashKey is { } key ? StableHash.Of(key) * Math.ScaleB(1, -64) : FastRandom.Fraction();

    private static bool Contains(ReadOnlySpan<InstanceState> instances, InstanceState instance)
    {
        foreach (var other in instances)
        {
            if (ReferenceEquals(other, instance))
            {
                return true;
            }
        }

        return false;
    }
}
