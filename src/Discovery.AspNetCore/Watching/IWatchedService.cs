namespace Discovery.AspNetCore.Watching;

/// <summary>A service whose instances are known, wherever they come from.</summary>
internal interface IWatchedService : IAsyncDisposable
{
    /// <summary>Where the snapshots are published.</summary>
    SnapshotFeed Feed { get; }

    ServiceStatus Status { get; }

    /// <summary>Whether <see cref="WaitForReadyAsync"/> is the application's own, which decides how long and how often is waited.</summary>
    bool HasOwnLimit => false;

    /// <summary>Waits for the first snapshot, at most for so long.</summary>
    /// <exception cref="ServiceDiscoveryException">There was none in time.</exception>
    ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken);
}
