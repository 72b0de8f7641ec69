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
/// <param name="State">What the keeper is doing.</param>
/// <param name="LeaseId">The lease held; 0 for none.</param>
/// <param name="TimeToLive">The granted time to live; zero without a lease.</param>
/// <param name="Remaining">How long the lease lasts if etcd is not reached again; zero without a lease.</param>
/// <param name="KeysStored">How many of the wanted keys stand in etcd.</param>
/// <param name="KeysWanted">How many keys are wanted.</param>
/// <param name="LastError">The last failure since the lease was last held in good order, or <see langword="null"/>.</param>
public sealed record EtcdLeaseStatus(
    EtcdLeaseState State, long LeaseId, TimeSpan TimeToLive, TimeSpan Remaining, int KeysStored, int KeysWanted, Exception? LastError);
