namespace Discovery.Etcd;

/// <summary>All records under a prefix, as they stood at one revision.</summary>
/// <param name="Items">The records, ordered by key.</param>
/// <param name="Revision">The revision they all belong to; a watch that starts at <c>Revision + 1</c> misses nothing.</param>
/// <param name="ClusterId">The cluster that answered.</param>
public sealed record EtcdListing(IReadOnlyList<EtcdKeyValue> Items, long Revision, ulong ClusterId);

/// <summary>What a read may cost and promise.</summary>
public enum EtcdReadConsistency
{
    /// <summary>The latest agreed state; needs a quorum.</summary>
    Linearizable,

    /// <summary>What the answering member has; may be stale, and works without a quorum.</summary>
    Serializable,
}
