using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>The one watch over all services of a cluster, while somebody wants to know them.</summary>
internal sealed class SharedListing(IServiceSource source, ListingPlanner planner, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private ListingWatcher? _watcher;
    private int _users;
    private long _askedAt;
    private bool _disposed;

    /// <summary>The services now.</summary>
    /// <exception cref="ServiceDiscoveryException">They did not become known within the limit.</exception>
    public async ValueTask<ServiceListing> ListAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var watcher = Acquire();
        try
        {
            return await watcher.Feed.WaitForFirstAsync(limit, time, cancellationToken).ConfigureAwait(false) ?? throw NotListed(watcher, limit);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>The services now, and whenever it is others.</summary>
    public async IAsyncEnumerable<ServiceListing> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = Acquire();
        try
        {
            ServiceListing? told = null;
            await foreach (var listing in watcher.Feed.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                if (told is null || !told.HasSameServices(listing))
                {
                    told = listing;
                    yield return listing;
                }
            }
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Ends the watch if nobody has wanted it for a while.</summary>
    public void EndIdle(TimeSpan idleTime)
    {
        ListingWatcher? idle = null;
        lock (_gate)
        {
            if (_users == 0 && time.GetElapsedTime(_askedAt) >= idleTime)
            {
                (idle, _watcher) = (_watcher, null);
            }
        }

        _ = idle?.DisposeAsync().AsTask();
    }

    public async ValueTask DisposeAsync()
    {
        ListingWatcher? last;
        lock (_gate)
        {
            _disposed = true;
            (last, _watcher) = (_watcher, null);
        }

        if (last is not null)
        {
            await last.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ListingWatcher Acquire()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(IServiceDirectory));
            _watcher ??= new ListingWatcher(source, planner.Create(source.Cluster, source.HasEndpoints, time), time, logger);
            _users++;
            return _watcher;
        }
    }

    private void Release()
    {
        lock (_gate)
        {
            _users--;
            _askedAt = time.GetTimestamp();
        }
    }

    private ServiceDiscoveryException NotListed(ListingWatcher watcher, TimeSpan waited)
        => new(
            "",
            $"The services could not be listed under '{string.Join("', '", watcher.Roots)}' within {waited.TotalSeconds:0.###} s "
            + $"(Etcd:Discovery:ReadyTimeout), from {string.Join(", ", source.Endpoints)} ({Cluster.SectionOf(source.Cluster)}:Endpoints). "
            + (watcher.Problem is { } problem ? $"The last attempt: {problem.Message}" : "etcd did not answer yet."),
            watcher.Problem);
}
