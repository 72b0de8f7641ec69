using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Watching;

/// <summary>The services of several clusters as one list.</summary>
internal static class MergedListings
{
    public static ServiceListing Merge(IReadOnlyList<ServiceListing> listings) => listings.Count == 1 ? listings[0] : new ServiceListing
    {
        Services =
        [
            .. listings.SelectMany(static l => l.Services).OrderBy(static s => s.ServiceName, StringComparer.Ordinal)
                .ThenBy(static s => s.Cluster, StringComparer.Ordinal),
        ],
        SkippedRecords = listings.Sum(static l => l.SkippedRecords),
        UnlistedLayouts = [.. listings.SelectMany(static l => l.UnlistedLayouts).Distinct(StringComparer.Ordinal)],
    };

    /// <summary>Follows all; the first list comes when all clusters have told theirs, so that none lacks those of a cluster that is slow.</summary>
    public static async IAsyncEnumerable<ServiceListing> WatchAsync(
        IReadOnlyList<IServiceDirectory> directories, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var feed = new ChangeFeed<ServiceListing>();
        var latest = new ServiceListing?[directories.Count];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var loops = Task.WhenAll(directories.Select((directory, i) => Task.Run(() => FollowAsync(directory, i), CancellationToken.None)));
        _ = loops.ContinueWith(_ => feed.Close(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        try
        {
            await foreach (var listing in feed.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return listing;
            }

            // They ended by themselves: with the application, or by a fault, which is the reader's to see.
            await loops.ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await loops.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task FollowAsync(IServiceDirectory directory, int index)
        {
            await foreach (var listing in directory.WatchServicesAsync(stop.Token).ConfigureAwait(false))
            {
                lock (latest)
                {
                    latest[index] = listing;
                    if (latest.All(static l => l is not null))
                    {
                        feed.Publish(Merge(latest!));
                    }
                }
            }
        }
    }
}
