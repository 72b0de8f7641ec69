namespace Discovery.AspNetCore;

/// <summary>How a service's directory entry stands with etcd at a moment.</summary>
public sealed record ServiceStatus
{
    /// <summary>The service's name.</summary>
    public required string ServiceName { get; init; }

    /// <summary>The prefix of its keys in etcd.</summary>
    public required string Prefix { get; init; }

    /// <summary>Whether there is a snapshot to call by.</summary>
    public required bool IsReady { get; init; }

    /// <summary>Whether the watch is open.</summary>
    public required bool IsConnected { get; init; }

    /// <summary>The revision up to which everything was seen; 0 before the first list.</summary>
    public required long Revision { get; init; }

    /// <summary>How long ago etcd last confirmed the state, by a list or over the watch; <see langword="null"/> before it ever did.</summary>
    public TimeSpan? Age { get; init; }

    /// <summary>How many records stand under the prefix that are no instances.</summary>
    public int SkippedRecords { get; init; }

    /// <summary>The last failure since etcd was last heard, or <see langword="null"/>.</summary>
    public Exception? LastError { get; init; }
}
