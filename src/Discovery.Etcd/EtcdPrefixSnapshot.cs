using System.Collections.Immutable;

namespace Discovery.Etcd;

/// <summary>All records under a prefix as they stood at one revision. Immutable. A transaction is seen whole or not at all.</summary>
public sealed record EtcdPrefixSnapshot
{
    /// <summary>The prefix.</summary>
    public required string Prefix { get; init; }

    /// <summary>The revision that the records belong to.</summary>
    public required long Revision { get; init; }

    /// <summary>The cluster that they are from; 0 where a proxy hides it.</summary>
    public required ulong ClusterId { get; init; }

    /// <summary>The records by key, in ordinal order. Keys that are not UTF-8 are left out.</summary>
    public required ImmutableSortedDictionary<string, EtcdKeyValue> Items { get; init; }

    /// <summary>How many records were left out because their keys are not UTF-8.</summary>
    public int SkippedKeys { get; init; }
}
