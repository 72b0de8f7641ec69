using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Finds what a service's first snapshot is made of: the cluster's list, else that of one member, which needs no quorum, else what is on disk. Each
/// has its share of the time that a first call waits.
/// </summary>
internal sealed partial class FirstList(
    string serviceName, IServiceLayout layout, TimeSpan readyTimeout, ServiceLister lister, SnapshotFile? file, WatcherTelemetry telemetry, ILogger logger)
{
    /// <summary>Gets it.</summary>
    /// <param name="onFailed">Learns at once why one of the sources has nothing.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>The list, where it is from, and what of it was read already, if any; <see langword="null"/> if there is none.</returns>
    public async Task<(EtcdListing Listing, ServiceChangeReason Reason, ReadAhead? Ahead)?> GetAsync(Action<EtcdException> onFailed, CancellationToken stop)
    {
        string? failure = null;
        var prefix = layout.GetPrefix(serviceName);
        async Task<(EtcdListing Listing, ReadAhead? Ahead)?> TryListAsync(string cause, EtcdReadConsistency consistency)
        {
            // Of its own: a list that is given up may still hand pages over.
            var ahead = new ReadAhead(serviceName, layout);
            try
            {
                var listing = await telemetry.ListAsync(
                    cause, () => lister.ListFirstAsync(prefix, ahead.OnPage, consistency, readyTimeout / 3, stop)).ConfigureAwait(false);
                return (listing, await ahead.FinishAsync(listing).ConfigureAwait(false) ? ahead : null);
            }
            catch (EtcdException e)
            {
                failure = e.Message;
                onFailed(e);
                return null;
            }
        }

        if (await TryListAsync(ListCauses.Start, EtcdReadConsistency.Linearizable).ConfigureAwait(false) is { } agreed)
        {
            return (agreed.Listing, ServiceChangeReason.Listed, agreed.Ahead);
        }

        if (await TryListAsync(ListCauses.StartWithoutQuorum, EtcdReadConsistency.Serializable).ConfigureAwait(false) is { } own)
        {
            Log.StartedWithout(logger, serviceName, own.Listing.Items.Count, "one etcd member's own view, which may be behind the cluster's", failure);
            return (own.Listing, ServiceChangeReason.ListedWithoutQuorum, own.Ahead);
        }

        if (file is not null && file.TryRead(out var saved, out var writtenAt))
        {
            Log.StartedWithout(logger, serviceName, saved.Items.Count, file.Describe(writtenAt), failure);
            return (saved, ServiceChangeReason.ReadFromDisk, null);
        }

        return null;
    }

    private static partial class Log
    {
        [LoggerMessage(2115, LogLevel.Warning, "Service '{Service}' starts with {Count} records from {Origin}, as the cluster did not answer in time. "
            + "{Reason}")]
        public static partial void StartedWithout(ILogger logger, string service, int count, string origin, string? reason);
    }
}
