namespace Discovery.Etcd;

/// <summary>Whether the snapshots of a followed prefix are up to date.</summary>
public enum EtcdFollowStatusKind
{
    /// <summary>The watch is open: changes arrive as they happen.</summary>
    Watching,

    /// <summary>No watch can be opened, but lists are answered: the prefix is listed every few seconds.</summary>
    Polling,

    /// <summary>The prefix can be neither watched nor listed. It is tried until it can; the last snapshot stands meanwhile.</summary>
    Unavailable,
}

/// <summary>How following a prefix stands.</summary>
public sealed record EtcdFollowStatus
{
    /// <summary>Whether snapshots are up to date.</summary>
    public required EtcdFollowStatusKind Kind { get; init; }

    /// <summary>Why it is not watched; <see langword="null"/> for <see cref="EtcdFollowStatusKind.Watching"/>.</summary>
    public EtcdException? Error { get; init; }
}
