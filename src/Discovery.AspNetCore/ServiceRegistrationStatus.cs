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

    /// <summary>The last failure since all was well, or what needs an operator's attention, or <see langword="null"/>.</summary>
    public string? LastError { get; init; }

    /// <summary>
    /// Why this application's own keys cannot be read, as with a role of etcd that may only write, or <see langword="null"/>. It is registered
    /// all the same, but cannot notice that somebody deletes or takes over its keys.
    /// </summary>
    public string? ReadError { get; init; }

    /// <summary>State, id, keys, lease and error in one line.</summary>
    public override string ToString()
    {
        var lease = LeaseId == 0 ? "no lease" : string.Create(CultureInfo.InvariantCulture, $"lease {LeaseId:x}");
        return $"{State} ({InstanceId}, {lease}), keys: {(Keys.Count == 0 ? "none" : string.Join(", ", Keys))}. {LastError ?? ReadError}".TrimEnd();
    }
}
