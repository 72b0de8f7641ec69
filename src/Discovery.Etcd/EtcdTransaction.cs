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
public sealed record EtcdTransactionResult
{
    /// <summary>Whether all comparisons held.</summary>
    public required bool Succeeded { get; init; }

    /// <summary>The cluster's revision after it.</summary>
    public required long Revision { get; init; }

    /// <summary>The records that the <see cref="EtcdOperation.Get"/> operations which ran found, in order; <see langword="null"/> for an absent key.</summary>
    public required IReadOnlyList<EtcdKeyValue?> Reads { get; init; }
}
