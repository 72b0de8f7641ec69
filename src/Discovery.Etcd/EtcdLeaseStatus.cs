namespace Discovery.Etcd;

/// <summary>What a lease keeper is doing.</summary>
public enum EtcdLeaseState
{
    /// <summary>No key is desired, so no lease is held.</summary>
    Idle,

    /// <summary>A lease is being asked for.</summary>
    Granting,

    /// <summary>The lease is held and kept alive.</summary>
    Held,

    /// <summary>The lease ran out or was revoked; a new one will be asked for.</summary>
    Lost,

    /// <summary>The keeper ended.</summary>
    Stopped,
}

/// <summary>The state of a lease and its keys at a moment.</summary>
public sealed record EtcdLeaseStatus
{
    /// <summary>What the keeper is doing.</summary>
    public required EtcdLeaseState State { get; init; }

    /// <summary>The lease held; 0 for none.</summary>
    public long LeaseId { get; init; }

    /// <summary>The granted time to live; zero without a lease.</summary>
    public TimeSpan TimeToLive { get; init; }

    /// <summary>How long the lease lasts if etcd is not reached again; zero without a lease.</summary>
    public TimeSpan Remaining { get; init; }

    /// <summary>How many of the desired keys stand in etcd.</summary>
    public int KeysStored { get; init; }

    /// <summary>How many keys are desired.</summary>
    public int KeysDesired { get; init; }

    /// <summary>
    /// The latest failure whose cause is not over: the lease cannot be had or renewed, or a key cannot be written or removed;
    /// <see langword="null"/> when all is well.
    /// </summary>
    public Exception? LastError { get; init; }

    /// <summary>
    /// Why keys of ours cannot be read, as with a role that may only write; <see langword="null"/> when they can. They are kept all the
    /// same, but that another process deletes or takes one over goes unnoticed.
    /// </summary>
    public Exception? ReadError { get; init; }
}
