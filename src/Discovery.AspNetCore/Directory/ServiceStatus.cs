namespace Discovery.AspNetCore;

/// <summary>How a service's directory entry stands with etcd at a moment.</summary>
/// <param name="ServiceName">The service's name.</param>
/// <param name="Prefix">The prefix of its keys in etcd.</param>
/// <param name="IsReady">Whether there is a snapshot to call by.</param>
/// <param name="IsConnected">Whether the watch is open.</param>
/// <param name="Revision">The revision up to which everything was seen; 0 before the first list.</param>
/// <param name="Age">How long ago etcd last confirmed the state, by a list or over the watch; <see langword="null"/> before it ever did.</param>
/// <param name="SkippedRecords">How many records stand under the prefix that are no instances.</param>
/// <param name="LastError">The last failure since etcd was last heard, or <see langword="null"/>.</param>
public sealed record ServiceStatus(
    string ServiceName,
    string Prefix,
    bool IsReady,
    bool IsConnected,
    long Revision,
    TimeSpan? Age,
    int SkippedRecords,
    Exception? LastError);
