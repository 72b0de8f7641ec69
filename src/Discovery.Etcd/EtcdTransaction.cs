namespace Discovery.Etcd;

/// <summary>
/// A transaction: when all comparisons hold, one set of operations runs, else the other. It may be sent more than once when an answer
/// is lost, so the operations must be safe to repeat.
/// </summary>
public sealed class EtcdTransaction
{
    /// <summary>The comparisons that must all hold; none means: always.</summary>
    public IList<EtcdCompare> When { get; init; } = [];

    /// <summary>What runs when all comparisons hold.</summary>
    public IList<EtcdOperation> Then { get; init; } = [];

    /// <summary>What runs otherwise.</summary>
    public IList<EtcdOperation> Else { get; init; } = [];
}

/// <summary>The outcome of a transaction.</summary>
/// <param name="Succeeded">Whether all comparisons held.</param>
/// <param name="Revision">The cluster's revision after it.</param>
/// <param name="Reads">The records that the <see cref="EtcdOperation.Get"/> operations which ran found, in order; <see langword="null"/> for an absent key.</param>
public sealed record EtcdTransactionResult(bool Succeeded, long Revision, IReadOnlyList<EtcdKeyValue?> Reads);
