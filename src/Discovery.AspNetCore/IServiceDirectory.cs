using System.Runtime.CompilerServices;

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

    /// <summary>
    /// All services that are registered, in all clusters and in all layouts that the application reads, whether it calls them or not; those
    /// whose instances stand in the settings are among them. The first call has the roots of the layouts watched, in full, until nobody has
    /// asked for 10 minutes; while etcd is away the last state is the answer.
    /// </summary>
    /// <remarks>
    /// A layout whose keys have no common root cannot be listed, see <see cref="ServiceListing.UnlistedLayouts"/>. The application's user in
    /// etcd needs to read the roots, e.g. <c>services/</c>. A directory of your own lists what <see cref="Services"/> has, unless it implements this.
    /// </remarks>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="ServiceDiscoveryException">Nothing is known yet, and etcd did not answer within <see cref="EtcdDiscoveryOptions.ReadyTimeout"/>.</exception>
    ValueTask<ServiceListing> ListServicesAsync(CancellationToken cancellationToken = default) => new(new ServiceListing
    {
        Services =
        [
            .. Services.OrderBy(static s => s.ServiceName, StringComparer.Ordinal).Select(s => new ListedService
            {
                ServiceName = s.ServiceName,
                Cluster = s.Cluster,
                Instances = [.. (GetSnapshot(s.ServiceName)?.Instances ?? []).OrderBy(static i => i.Address, StringComparer.Ordinal)],
            }),
        ],
    });

    /// <summary>
    /// All services that are registered, and again each time that a service appears or vanishes. A change of instances alone is not told, so those
    /// of a listing are of its moment. All who follow share one watch of etcd. A reader that is slower than the changes gets the newest. It
    /// waits while etcd is away, and ends when the application stops.
    /// </summary>
    /// <remarks>A directory of your own tells <see cref="ListServicesAsync"/> once, unless it implements this.</remarks>
    /// <param name="cancellationToken">Ends the subscription.</param>
    async IAsyncEnumerable<ServiceListing> WatchServicesAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        yield return await ListServicesAsync(cancellationToken).ConfigureAwait(false);
        await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
    }
}
