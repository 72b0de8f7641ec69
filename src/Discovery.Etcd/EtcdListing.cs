namespace Discovery.Etcd;

/// <summary>All records under a prefix, as they stood at one revision.</summary>
public sealed record EtcdListing
{
    /// <summary>The records, ordered by key.</summary>
    public required IReadOnlyList<EtcdKeyValue> Items { get; init; }

    /// <summary>The revision they all belong to; a watch that starts at <c>Revision + 1</c> misses nothing.</summary>
    public required long Revision { get; init; }

    /// <summary>The cluster that answered.</summary>
    public required ulong ClusterId { get; init; }
}

/// <summary>What a read may cost and promise.</summary>
public enum EtcdReadConsistency
{
    /// <summary>The latest agreed state; needs a quorum.</summary>
    Linearizable,

    /// <summary>What the answering member has; may be stale, and works without a quorum.</summary>
    Serializable,
}
