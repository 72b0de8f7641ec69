namespace Discovery.Etcd;

/// <summary>What a watch tells its reader.</summary>
public enum EtcdWatchUpdateKind
{
    /// <summary>Keys changed; all events of one revision come together.</summary>
    Changed,

    /// <summary>Nothing changed up to a revision: the watch is alive.</summary>
    Progress,

    /// <summary>The watch is open, for the first time or again, at some endpoint.</summary>
    Opened,

    /// <summary>The stream broke; the watch re-opens by itself from where it was. Published once until <see cref="Opened"/>.</summary>
    Interrupted,

    /// <summary>
    /// The events in between cannot be had: the revision was compacted, the cluster was restored or wiped, another cluster answers, or the
    /// updates were left unread (see <see cref="EtcdWatch.ReadAllAsync"/>). The watch is idle until <see cref="EtcdWatch.Restart"/> gives
    /// it the revision of a new list.
    /// </summary>
    ListAgain,

    /// <summary>etcd refused the watch, e.g. for missing permission. The watch tries again by itself, in growing intervals.</summary>
    Rejected,

    /// <summary>
    /// No stream could be opened for about 2 s, nor can it now: etcd is down, or its members refuse for want of a leader. The watch goes on
    /// trying. Who must know of changes meanwhile can list, which may work where watches do not. Published once until <see cref="Opened"/>,
    /// after <see cref="Interrupted"/>.
    /// </summary>
    Unavailable,
}

/// <summary>What a watch tells its reader.</summary>
public sealed record EtcdWatchUpdate
{
    /// <summary>What it is about.</summary>
    public required EtcdWatchUpdateKind Kind { get; init; }

    /// <summary>The revision up to which the watch has now seen everything.</summary>
    public required long Revision { get; init; }

    /// <summary>The changes; empty unless <see cref="EtcdWatchUpdateKind.Changed"/>.</summary>
    public IReadOnlyList<EtcdWatchEvent> Events { get; init; } = [];

    /// <summary>
    /// Why, for <see cref="EtcdWatchUpdateKind.Interrupted"/>, <see cref="EtcdWatchUpdateKind.Unavailable"/>,
    /// <see cref="EtcdWatchUpdateKind.ListAgain"/> and <see cref="EtcdWatchUpdateKind.Rejected"/>.
    /// </summary>
    public EtcdException? Error { get; init; }

    /// <summary>The cluster that the watch follows; 0 while none has answered.</summary>
    public ulong ClusterId { get; init; }

    /// <summary>
    /// For <see cref="EtcdWatchUpdateKind.ListAgain"/> after a compaction: the revision where the history begins now. 0 otherwise.
    /// </summary>
    public long CompactRevision { get; init; }
}

/// <summary>One change of one key.</summary>
public readonly record struct EtcdWatchEvent
{
    /// <summary>Whether the key was deleted (or its lease ended); else it was put.</summary>
    public required bool Deleted { get; init; }

    /// <summary>The record as it now stands; for a deletion key and mod revision only.</summary>
    public required EtcdKeyValue Record { get; init; }

    /// <summary>
    /// The record as it stood before; <see langword="null"/> where there was none, where it was compacted, and unless
    /// <see cref="EtcdWatchOptions.WithPrevious"/> asked for it.
    /// </summary>
    public EtcdKeyValue? Previous { get; init; }
}
