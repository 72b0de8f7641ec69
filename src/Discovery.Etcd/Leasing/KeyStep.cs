namespace Discovery.Etcd.Leasing;

/// <summary>What is to be done to bring a key in line.</summary>
internal enum KeyStepKind
{
    /// <summary>Read who holds the key.</summary>
    Read,

    /// <summary>Put it if it still has the known revision.</summary>
    Put,

    /// <summary>Put it, for it cannot be read.</summary>
    PutUnconditionally,

    /// <summary>Delete it if it still has the known revision.</summary>
    Delete,

    /// <summary>Delete it, for it cannot be read.</summary>
    DeleteUnconditionally,

    /// <summary>Put it on the lease of another process, if it still has the known revision.</summary>
    HandOver,
}

/// <summary>One request for a key, and what it was based on.</summary>
/// <param name="Kind">What is to be done.</param>
/// <param name="Value">The value to put; <see langword="null"/> to delete.</param>
/// <param name="Revision">The mod revision that the key must still have; 0: it must be absent.</param>
/// <param name="Lease">The lease of ours to put it on; <see langword="null"/> for a deletion or a hand-over.</param>
/// <param name="Takeover">The generation of the put by the user that the step serves.</param>
/// <param name="KnownAt">The revision of the knowledge that the step is based on.</param>
internal sealed record KeyStep(KeyStepKind Kind, byte[]? Value, long Revision, HeldLease? Lease, long Takeover, long KnownAt)
{
    /// <summary>Whether it needs no permission to read the key.</summary>
    public bool IsUnconditional => Kind is KeyStepKind.PutUnconditionally or KeyStepKind.DeleteUnconditionally;

    /// <summary>The lease of another process, to hand the key over to; else 0.</summary>
    public long PeerLeaseId { get; init; }
}
