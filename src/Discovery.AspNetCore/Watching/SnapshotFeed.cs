namespace Discovery.AspNetCore.Watching;

/// <summary>The snapshots of a service.</summary>
internal sealed class SnapshotFeed : ChangeFeed<ServiceSnapshot>;
