using System.Globalization;
using System.Text.Json.Serialization;

namespace Discovery.AspNetCore;

/// <summary>How a service's directory entry stands with etcd at a moment.</summary>
public sealed record ServiceStatus
{
    /// <summary>The service's name.</summary>
    public required string ServiceName { get; init; }

    /// <summary>The cluster that it is looked for in, or <see langword="null"/> for the default one.</summary>
    public string? Cluster { get; init; }

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

    /// <summary>The last failure since etcd was last heard, or <see langword="null"/>. In JSON is <see cref="LastErrorMessage"/> alone.</summary>
    [JsonIgnore]
    public Exception? LastError { get; init; }

    /// <summary>What <see cref="LastError"/> says, or <see langword="null"/>.</summary>
    public string? LastErrorMessage => LastError?.Message;

    /// <summary>Name, state and error in one line.</summary>
    public override string ToString()
    {
        var cluster = Cluster is null ? "" : $" in {Cluster}";
        var state = IsReady ? IsConnected ? "watched" : "not watched now" : "not listed";
        var age = Age is { } a ? string.Create(CultureInfo.InvariantCulture, $", confirmed {a.TotalSeconds:0.###} s ago") : "";
        var skipped = SkippedRecords == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", {SkippedRecords} records skipped");
        return string.Create(CultureInfo.InvariantCulture, $"{ServiceName}{cluster} ({Prefix}): {state}, revision {Revision}{age}{skipped}. {LastErrorMessage}").TrimEnd();
    }
}
