using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Finds what a service's first snapshot is made of: the cluster's list, else that of one member, which needs no quorum, else what is on disk. Each
/// has its share of the time that a first call waits.
/// </summary>
internal sealed partial class FirstList(
    string serviceName, string prefix, TimeSpan readyTimeout, ServiceLister lister, SnapshotFile? file, WatcherTelemetry telemetry, ILogger logger)
{
    /// <summary>Gets it.</summary>
    /// <param name="onFailed">Learns at once why one of the sources has nothing.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>The list, and where it is from; <see langword="null"/> if there is none.</returns>
    public async Task<(EtcdListing Listing, ServiceChangeReason Reason)?> GetAsync(Action<EtcdException> onFailed, CancellationToken stop)
    {
        string? failure = null;
        async Task<EtcdListing?> TryListAsync(string cause, EtcdReadConsistency consistency)
        {
            try
            {
                return await telemetry.ListAsync(cause, () => lister.ListFirstAsync(prefix, consistency, readyTimeout / 3, stop)).ConfigureAwait(false);
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
            return (agreed, ServiceChangeReason.Listed);
        }

        if (await TryListAsync(ListCauses.StartWithoutQuorum, EtcdReadConsistency.Serializable).ConfigureAwait(false) is { } own)
        {
            Log.StartedWithout(logger, serviceName, own.Items.Count, "one etcd member's own view, which may be behind the cluster's", failure);
            return (own, ServiceChangeReason.ListedWithoutQuorum);
        }

        if (file is not null && file.TryRead(out var saved, out var writtenAt))
        {
            Log.StartedWithout(logger, serviceName, saved.Items.Count, file.Describe(writtenAt), failure);
            return (saved, ServiceChangeReason.ReadFromDisk);
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
