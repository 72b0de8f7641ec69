namespace Discovery.AspNetCore;

/// <summary>
/// The services as etcd has them, live. A service is watched from the first call to it, <see cref="WaitForReadyAsync"/> or
/// <see cref="SubscribeAsync"/>, over one stream for all services; one that no client calls, until nobody has asked for it for 10 minutes. Clients use it by themselves; it is here for code that wants to see or to call all instances.
/// </summary>
public interface IServiceDirectory
{
    /// <summary>The services watched so far, and how they stand.</summary>
    IReadOnlyCollection<ServiceStatus> Services { get; }

    /// <summary>
    /// The current snapshot, or <see langword="null"/> before the first one and while the service is not watched. Never waits, and only looks:
    /// it starts no watch.
    /// </summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    ServiceSnapshot? GetSnapshot(string serviceName);

    /// <summary>How the service stands with etcd; one that is not watched is not ready. Only looks: it starts no watch.</summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    ServiceStatus GetStatus(string serviceName);

    /// <summary>Waits for the first snapshot; returns at once when there is one.</summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="ServiceDiscoveryException">
    /// There was none within <see cref="EtcdDiscoveryOptions.ReadyTimeout"/>; names the service, the prefix and the endpoints tried.
    /// </exception>
    ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default);

    /// <summary>
    /// The current snapshot and then each newer one. A reader that is slower than the changes gets the newest and skips those between.
    /// It ends when the application stops.
    /// </summary>
    /// <param name="serviceName">The service's name, exact and case-sensitive.</param>
    /// <param name="cancellationToken">Ends the subscription.</param>
    /// <exception cref="ArgumentException">The name is no service name.</exception>
    IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default);
}
