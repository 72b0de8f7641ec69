using System.Diagnostics;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Diagnostics.Tracing;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>What metrics and traces learn of how a service is followed. Used by its one loop.</summary>
internal sealed class WatcherTelemetry(string serviceName, string? cluster, ServiceMetrics? metrics, TimeProvider time)
{
    private DateTimeOffset? _interruptedAt;
    private ActivityContext _reopened;

    /// <summary>Lists, as an activity of its own.</summary>
    /// <param name="cause">Why, one of <see cref="ListCauses"/>.</param>
    /// <param name="listAsync">What lists.</param>
    public async Task<EtcdListing> ListAsync(string cause, Func<Task<EtcdListing>> listAsync)
    {
        using var activity = DiscoveryActivities.StartRoot(DiscoveryActivities.List, serviceName, cluster, _reopened);
        activity?.SetTag("discovery.list.cause", cause);
        try
        {
            var listing = await listAsync().ConfigureAwait(false);
            OnList(cause, isAnswered: true);
            activity?.SetTag("discovery.list.records", listing.Items.Count);
            activity?.SetTag("discovery.revision", listing.Revision);
            return listing;
        }
        catch (EtcdException e)
        {
            OnList(cause, isAnswered: false);
            activity.SetFailed(e.StatusCode.ToString(), e.Message);
            throw;
        }
    }

    /// <summary>A list was answered, or not.</summary>
    public void OnList(string cause, bool isAnswered) => metrics?.OnList(cause, isAnswered);

    /// <summary>The watch was interrupted.</summary>
    public void OnInterrupted() => _interruptedAt ??= time.GetUtcNow();

    /// <summary>The watch is open; if it was interrupted before, that is over.</summary>
    /// <param name="cause">What interrupted it, if anything.</param>
    public void OnOpened(Exception? cause)
    {
        if (_interruptedAt is not { } since)
        {
            return;
        }

        _interruptedAt = null;
        metrics?.OnWatchReopened();
        using var activity = DiscoveryActivities.StartRoot(DiscoveryActivities.Reopen, serviceName, cluster, startTime: since);
        activity?.SetTag("discovery.reopen.cause", cause?.Message);
        _reopened = activity?.Context ?? default;
    }
}
