namespace Discovery.Etcd;

/// <summary>What a lease keeper is doing.</summary>
public enum EtcdLeaseState
{
    /// <summary>No key is wanted yet, so no lease is held.</summary>
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

/// <summary>The state of a lease at a moment.</summary>
public sealed record EtcdLeaseStatus
{
    /// <summary>What the keeper is doing.</summary>
    public required EtcdLeaseState State { get; init; }

    /// <summary>The lease held; 0 for none.</summary>
    public required long LeaseId { get; init; }

    /// <summary>The granted time to live; zero without a lease.</summary>
    public required TimeSpan TimeToLive { get; init; }

    /// <summary>How long the lease lasts if etcd is not reached again; zero without a lease.</summary>
    public required TimeSpan Remaining { get; init; }

    /// <summary>How many of the wanted keys stand in etcd.</summary>
    public required int KeysStored { get; init; }

    /// <summary>How many keys are wanted.</summary>
    public required int KeysWanted { get; init; }

    /// <summary>The last failure since the lease was last held in good order, or <see langword="null"/>.</summary>
    public Exception? LastError { get; init; }
}
