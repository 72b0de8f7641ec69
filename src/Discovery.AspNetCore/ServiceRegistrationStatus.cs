using System.Globalization;

namespace Discovery.AspNetCore;

/// <summary>A registration at a moment.</summary>
public sealed record ServiceRegistrationStatus
{
    /// <summary>What it is doing.</summary>
    public required ServiceRegistrationState State { get; init; }

    /// <summary>The id of this process; empty before the application has started.</summary>
    public required string InstanceId { get; init; }

    /// <summary>The cluster that it is in, or <see langword="null"/> for the default one.</summary>
    public string? Cluster { get; init; }

    /// <summary>The keys that stand, or are to stand, in etcd. Default: none.</summary>
    public IReadOnlyList<string> Keys { get; init; } = [];

    /// <summary>The lease; 0 while there is none. Default: 0.</summary>
    public long LeaseId { get; init; }

    /// <summary>For how long etcd granted the lease; zero while there is none. Default: zero.</summary>
    public TimeSpan LeaseTimeToLive { get; init; }

    /// <summary>How long the lease, and with it the keys, last if etcd is not reached again; zero while there is none. Default: zero.</summary>
    public TimeSpan LeaseRemaining { get; init; }

    /// <summary>The last failure since all was well, or what needs an operator's attention, or <see langword="null"/>.</summary>
    public string? LastError { get; init; }

    /// <summary>
    /// Why the own keys cannot be read, as with a role that may only write, or <see langword="null"/>. They are kept all the same, but that
    /// another process deletes or takes one over goes unnoticed.
    /// </summary>
    public string? ReadError { get; init; }

    /// <summary>Whether <see cref="LastError"/> is that etcd does not answer, whatever figures its text has.</summary>
    internal bool IsEtcdAway { get; init; }

    /// <summary>How many leases of this registration were lost.</summary>
    internal int LeasesLost { get; init; }

    /// <summary>State, cluster, id, keys, lease and errors in one line.</summary>
    public override string ToString()
    {
        var lease = LeaseId == 0 ? "no lease" : string.Create(CultureInfo.InvariantCulture, $"lease {LeaseId:x}");
        var cluster = Cluster is null ? "" : $" in {Cluster}";
        var keys = Keys.Count == 0 ? "none" : string.Join(", ", Keys);
        var readError = ReadError is null ? "" : $" The keys cannot be read: {ReadError}";
        return $"{State}{cluster} ({InstanceId}, {lease}), keys: {keys}. {LastError}".TrimEnd() + readError;
    }
}
