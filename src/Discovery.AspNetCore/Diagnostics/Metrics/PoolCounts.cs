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
}
