namespace Discovery.AspNetCore.Watching;

/// <summary>What a snapshot has changed.</summary>
/// <param name="Since">The id of the snapshot before it.</param>
/// <param name="Addresses">At least the addresses at which the two differ; some may come more than once.</param>
internal sealed record SnapshotChange(long Since, IReadOnlyList<string> Addresses);
