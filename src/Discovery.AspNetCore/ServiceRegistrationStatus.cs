using System.Globalization;

namespace Discovery.AspNetCore;

/// <summary>A registration at a moment.</summary>
public sealed record ServiceRegistrationStatus
{
    /// <summary>What it is doing.</summary>
    public required ServiceRegistrationState State { get; init; }

    /// <summary>The id of this process; empty before the application has started.</summary>
    public required string InstanceId { get; init; }

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

    /// <summary>State, id, keys, lease and error in one line.</summary>
    public override string ToString()
    {
        var lease = LeaseId == 0 ? "no lease" : string.Create(CultureInfo.InvariantCulture, $"lease {LeaseId:x}");
        return $"{State} ({InstanceId}, {lease}), keys: {(Keys.Count == 0 ? "none" : string.Join(", ", Keys))}. {LastError}".TrimEnd();
    }
}
