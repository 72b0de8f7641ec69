namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Chooses the endpoint of each call until the next change. Immutable and swapped whole; built by <see cref="BalancerBuilder"/>.
/// A pick takes no lock and allocates nothing.
/// </summary>
internal sealed class Balancer
{
    private const int PolicyAttempts = 3;

    private readonly EndpointPicker? _picker;
    private readonly EndpointPicker? _elsewhere;
    private readonly double _homeShare;
    private readonly ServiceEndpoint[][] _tiers;

    /// <summary>Puts the parts together.</summary>
    /// <param name="picker">Chooses among the endpoints in use, or those of the own zone; <see langword="null"/> if there are none.</param>
    /// <param name="elsewhere">Chooses among those of the other zones, if calls spill over.</param>
    /// <param name="homeShare">The share of calls that stay with <paramref name="picker"/>.</param>
    /// <param name="tiers">All endpoints, those to be preferred first: where a failover looks for one that was not tried.</param>
    /// <param name="rebuildAfter">See <see cref="RebuildAfter"/>.</param>
    public Balancer(
        EndpointPicker? picker, EndpointPicker? elsewhere, double homeShare, ServiceEndpoint[][] tiers, TimeSpan? rebuildAfter)
    {
        _picker = picker;
        _elsewhere = elsewhere;
        _homeShare = homeShare;
        _tiers = tiers;
        RebuildAfter = rebuildAfter;
    }

    /// <summary>After this long the balancer is out of date and must be built again, though nothing was reported. Null: never.</summary>
    public TimeSpan? RebuildAfter { get; }

    /// <summary>The endpoints that get calls when nothing fails.</summary>
    public IReadOnlyList<ServiceEndpoint> InUse => _tiers.Length == 0 ? [] : _tiers[0];

    /// <summary>Chooses an endpoint, or null if there is none at all.</summary>
    public ServiceEndpoint? Pick(in PickContext context)
    {
        if (_elsewhere is not null && PositionOf(context) >= _homeShare)
        {
            return _elsewhere.Pick(context);
        }

        return _picker?.Pick(context);
    }

    /// <summary>Chooses an endpoint that is not among those tried, or null if all were.</summary>
    public ServiceEndpoint? Pick(in PickContext context, ReadOnlySpan<ServiceEndpoint> tried)
    {
        for (var i = 0; i < PolicyAttempts; i++)
        {
            if (Pick(context) is { } endpoint && !Contains(tried, endpoint))
            {
                return endpoint;
            }
        }

        foreach (var tier in _tiers)
        {
            var start = tier.Length == 0 ? 0 : FastRandom.Below(tier.Length);
            for (var i = 0; i < tier.Length; i++)
            {
                var endpoint = tier[(start + i) % tier.Length];
                if (!Contains(tried, endpoint))
                {
                    return endpoint;
                }
            }
        }

        return null;
    }

    /// <summary>A key's calls must not wander between zones, so its hash decides; without a key it is chance.</summary>
    private static double PositionOf(in PickContext context)
        => context.HashKey is { } key ? StableHash.Of(key) * Math.ScaleB(1, -64) : FastRandom.Fraction();

    private static bool Contains(ReadOnlySpan<ServiceEndpoint> tried, ServiceEndpoint endpoint)
    {
        foreach (var other in tried)
        {
            if (ReferenceEquals(other, endpoint))
            {
                return true;
            }
        }

        return false;
    }
}
