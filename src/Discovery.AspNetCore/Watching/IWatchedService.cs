namespace Discovery.AspNetCore.Watching;

/// <summary>A service whose instances are known, wherever they come from.</summary>
internal interface IWatchedService : IAsyncDisposable
{
    /// <summary>Where the snapshots are published.</summary>
    SnapshotFeed Feed { get; }

    ServiceStatus Status { get; }

    /// <summary>Waits for the first snapshot.</summary>
    /// <exception cref="ServiceDiscoveryException">There was none in time.</exception>
    ValueTask<ServiceSnapshot> WaitForReadyAsync(CancellationToken cancellationToken);
}
