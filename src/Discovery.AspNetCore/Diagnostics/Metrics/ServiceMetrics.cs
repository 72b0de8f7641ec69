using System.Diagnostics;
using Discovery.Etcd.Diagnostics;

namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>What happens to one service, counted where it happens. While nobody listens each method is one check.</summary>
internal sealed class ServiceMetrics(DiscoveryMetrics metrics, ServiceTags tags)
{
    public ServiceTags Tags => tags;

    /// <summary>Whether anybody wants to know how long attempts take.</summary>
    public bool MeasuresAttempts => metrics.Attempts.Enabled;

    /// <summary>Whether anybody wants to know how long connects take.</summary>
    public bool MeasuresConnects => metrics.Connects.Enabled;

    public void OnAttemptEnded(string outcome, TimeSpan duration)
        => metrics.Attempts.TryRecord(duration.TotalSeconds, tags.With("discovery.attempt.outcome", outcome));

    /// <param name="errorType">What went wrong; null if nothing did.</param>
    /// <param name="duration">How long it took.</param>
    public void OnConnectEnded(string? errorType, TimeSpan duration)
        => metrics.Connects.TryRecord(duration.TotalSeconds, errorType is null ? tags.ToList() : tags.With("error.type", errorType));

    /// <summary>A connection was opened (1) or closed (-1).</summary>
    public void OnConnections(int change) => metrics.Connections.TryAdd(change, tags.ToList());

    public void OnFailover()
    {
        if (metrics.Failovers.Enabled)
        {
            metrics.Failovers.TryAdd(1, tags.ToList());
        }
    }

    public void OnRetryRefused()
    {
        if (metrics.RefusedRetries.Enabled)
        {
            metrics.RefusedRetries.TryAdd(1, tags.ToList());
        }
    }

    public void OnLoadReport(bool isReadable)
    {
        if (metrics.LoadReports.Enabled)
        {
            metrics.LoadReports.TryAdd(1, tags.With("discovery.load_report.readable", isReadable));
        }
    }

    /// <param name="cause">Why the service was listed.</param>
    /// <param name="isAnswered">Whether etcd answered.</param>
    public void OnList(string cause, bool isAnswered)
    {
        if (metrics.Lists.Enabled)
        {
            var list = tags.With("discovery.list.cause", cause);
            list.Add("discovery.list.answered", isAnswered);
            metrics.Lists.TryAdd(1, list);
        }
    }

    public void OnPublished(ServiceChangeReason reason)
    {
        if (metrics.Changes.Enabled)
        {
            metrics.Changes.TryAdd(1, tags.With("discovery.change.reason", reason.ToTag()));
        }
    }

    public void OnApplied(TimeSpan lag)
    {
        if (metrics.EventLag.Enabled)
        {
            metrics.EventLag.TryRecord(Math.Max(0, lag.TotalSeconds), tags.ToList());
        }
    }

    public void OnWatchReopened()
    {
        if (metrics.Reopens.Enabled)
        {
            metrics.Reopens.TryAdd(1, tags.ToList());
        }
    }
}
