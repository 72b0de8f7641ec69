namespace Discovery.Etcd;

/// <summary>What kind of news a watch brings.</summary>
public enum EtcdWatchUpdateKind
{
    /// <summary>Keys changed; all events of one revision come together.</summary>
    Changed,

    /// <summary>Nothing changed up to a revision: the watch is alive.</summary>
    Progress,

    /// <summary>The watch is open, for the first time or again, at some endpoint.</summary>
    Opened,

    /// <summary>The stream broke; the watch re-opens by itself from where it was.</summary>
    Interrupted,

    /// <summary>
    /// The events in between cannot be had: the revision was compacted, the cluster was restored or wiped, another cluster answers, or the
    /// updates were left unread (see <see cref="EtcdWatch.ReadAllAsync"/>). The watch is idle until <see cref="EtcdWatch.Restart"/> gives
    /// it the revision of a new list.
    /// </summary>
    ListAgain,

    /// <summary>etcd refused the watch, e.g. for missing permission. The watch tries again by itself, in growing intervals.</summary>
    Rejected,
}

/// <summary>News of a watch.</summary>
/// <param name="Kind">What kind of news.</param>
/// <param name="Revision">The revision up to which the watch has now seen everything.</param>
/// <param name="Events">The changes; empty unless <see cref="EtcdWatchUpdateKind.Changed"/>.</param>
/// <param name="Error">Why, for <see cref="EtcdWatchUpdateKind.Interrupted"/>, <see cref="EtcdWatchUpdateKind.ListAgain"/> and
/// <see cref="EtcdWatchUpdateKind.Rejected"/>.</param>
public sealed record EtcdWatchUpdate(
    EtcdWatchUpdateKind Kind, long Revision, IReadOnlyList<EtcdWatchEvent> Events, EtcdException? Error = null);

/// <summary>One change of one key.</summary>
/// <param name="Deleted">Whether the key was deleted (or its lease ended); else it was put.</param>
/// <param name="Record">The record as it now stands; for a deletion key and mod revision only.</param>
public readonly record struct EtcdWatchEvent(bool Deleted, EtcdKeyValue Record);
