using System.Diagnostics.Metrics;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd.Diagnostics;

namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>
/// The meter <c>Discovery.AspNetCore</c>. What happens is counted by <see cref="ServiceMetrics"/> where it happens; what is known anyway is
/// read when somebody collects, and costs nothing until then.
/// </summary>
internal sealed class DiscoveryMetrics : IDisposable
{
    public const string MeterName = "Discovery.AspNetCore";

    private static readonly InstrumentAdvice<double> Durations = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    };

    private readonly Meter? _own;
    private readonly Counter<long> _reregistrations;

    /// <param name="factory">Whose meter is used, and kept; without one it is this object's.</param>
    public DiscoveryMetrics(IMeterFactory? factory = null)
    {
        var meter = factory?.Create(MeterName) ?? (_own = new Meter(MeterName));
        Attempts = meter.CreateHistogram(
            "discovery.client.attempt.duration", "s", "How long one attempt of a call took, until its response ended.", advice: Durations);
        Failovers = meter.CreateCounter<long>(
            "discovery.client.failovers", "{failover}", "Calls that went on to another instance because no connection came about.");
        RefusedRetries = meter.CreateCounter<long>(
            "discovery.client.retries_refused", "{retry}", "Further attempts that the retry budget did not allow.");
        LoadReports = meter.CreateCounter<long>(
            "discovery.client.load_reports", "{report}", "Reports of their load that instances sent with their answers.");
        Connects = meter.CreateHistogram(
            "discovery.client.connect.duration", "s", "How long it took to connect to an instance, TLS included.", advice: Durations);
        Connections = meter.CreateUpDownCounter<long>(
            "discovery.client.open_connections", "{connection}", "The connections to instances that are open.");
        Lists = meter.CreateCounter<long>("discovery.directory.lists", "{list}", "Lists that were asked of etcd.");
        Changes = meter.CreateCounter<long>("discovery.directory.changes", "{change}", "Snapshots of services that were published.");
        EventLag = meter.CreateHistogram(
            "discovery.directory.event.lag", "s", "From when the directory knew of a change until calls went by it.", advice: Durations);
        Reopens = meter.CreateCounter<long>(
            "discovery.directory.watch.reopens", "{reopen}", "Interruptions of a service's watch after which it was open again.");
        _reregistrations = meter.CreateCounter<long>(
            "discovery.registration.reregistrations", "{registration}", "How often this application registered again after its lease was lost.");
        Observed = new ObservedMetrics(meter);
    }

    public Histogram<double> Attempts { get; }

    public Counter<long> Failovers { get; }

    public Counter<long> RefusedRetries { get; }

    public Counter<long> LoadReports { get; }

    public Histogram<double> Connects { get; }

    public UpDownCounter<long> Connections { get; }

    public Counter<long> Lists { get; }

    public Counter<long> Changes { get; }

    public Histogram<double> EventLag { get; }

    public Counter<long> Reopens { get; }

    /// <summary>What is read when somebody collects.</summary>
    public ObservedMetrics Observed { get; }

    /// <summary>What is measured of one service.</summary>
    /// <param name="serviceName">The service.</param>
    /// <param name="cluster">The cluster; null for the default one.</param>
    /// <param name="client">The client, where it has a pool of its own; null for the pool that the clients of a service share.</param>
    public ServiceMetrics Of(string serviceName, string? cluster, string? client = null)
        => new(this, new ServiceTags(serviceName, cluster, client));

    /// <summary>A lost registration stands again.</summary>
    public void OnRegisteredAgain(string? cluster)
    {
        if (_reregistrations.Enabled)
        {
            _reregistrations.TryAdd(1, ServiceTags.OfCluster(cluster));
        }
    }

    public void Dispose() => _own?.Dispose();
}
