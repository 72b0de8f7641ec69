namespace Discovery.Etcd;

/// <summary>What to watch: one key or a range, from where, and which changes.</summary>
public sealed class EtcdWatchOptions
{
    /// <summary>The key, or the first key of the range.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The first key after the range; empty (the default) for <see cref="Key"/> alone, one zero byte for all keys from there on.</summary>
    public ReadOnlyMemory<byte> RangeEnd { get; init; }

    /// <summary>The first revision of interest: that of a list, plus one. Default: 0, from now on.</summary>
    public long StartRevision { get; init; }

    /// <summary>The cluster that gave the list; another one that answers means to list again. Default: 0, whichever answers first.</summary>
    public ulong ClusterId { get; init; }

    /// <summary>Whether <see cref="EtcdWatchEvent.Previous"/> is wanted. Default: <see langword="false"/>.</summary>
    public bool WithPrevious { get; init; }

    /// <summary>Whether puts are of no interest. Default: <see langword="false"/>.</summary>
    public bool SkipPuts { get; init; }

    /// <summary>Whether deletions are of no interest. Default: <see langword="false"/>.</summary>
    public bool SkipDeletions { get; init; }
}
