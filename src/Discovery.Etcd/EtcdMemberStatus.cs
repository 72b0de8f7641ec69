namespace Discovery.Etcd;

/// <summary>What a member says of itself.</summary>
public sealed record EtcdMemberStatus
{
    /// <summary>The endpoint that answered.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>The member's version, e.g. <c>3.4.23</c>.</summary>
    public required string Version { get; init; }

    /// <summary>The cluster's id.</summary>
    public required ulong ClusterId { get; init; }

    /// <summary>The member's id.</summary>
    public required ulong MemberId { get; init; }

    /// <summary>The leader's member id; 0 while there is none.</summary>
    public required ulong LeaderId { get; init; }

    /// <summary>The member's revision of the key space.</summary>
    public required long Revision { get; init; }

    /// <summary>What is wrong in the cluster, in etcd's words: raised alarms, such as <c>memberID:1 alarm:NOSPACE</c>, and a missing leader.</summary>
    public IReadOnlyList<string> Errors { get; init; } = [];
}
