namespace Discovery.AspNetCore;

/// <summary>Why a snapshot was published.</summary>
public enum ServiceChangeReason
{
    /// <summary>The first list.</summary>
    Listed,

    /// <summary>The watch brought changes.</summary>
    Watched,

    /// <summary>A later list differed: after compaction, a restore, or the regular check.</summary>
    Reconciled,

    /// <summary>The cluster did not answer in time, for want of a quorum or being slow, so one member's own view was taken.</summary>
    ListedWithoutQuorum,

    /// <summary>etcd could not be reached, so the last snapshot on disk was taken.</summary>
    ReadFromDisk,

    /// <summary>Instances that had vanished together were held long enough and are let go.</summary>
    HoldEnded,

    /// <summary>The instances stand in the settings (<see cref="EtcdDiscoveryOptions.Instances"/>).</summary>
    Configured,
}
