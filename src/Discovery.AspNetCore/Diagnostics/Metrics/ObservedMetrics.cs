using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>What is read when somebody collects. Pools, directories and registrations add themselves.</summary>
internal sealed class ObservedMetrics
{
    private static readonly ServiceRegistrationState[] AllStates = Enum.GetValues<ServiceRegistrationState>();

    private readonly ConcurrentDictionary<Func<PoolCounts>, byte> _pools = new();
    private readonly ConcurrentDictionary<Func<IEnumerable<ServiceStatus>>, byte> _services = new();
    private readonly ConcurrentDictionary<Func<ServiceRegistrationStatus>, byte> _registrations = new();

    public ObservedMetrics(Meter meter)
    {
        CreateOfPools(meter);
        CreateOfServices(meter);
        CreateOfRegistrations(meter);
    }

    public void AddPool(Func<PoolCounts> pool) => _pools.TryAdd(pool, 0);

    public void RemovePool(Func<PoolCounts> pool) => _pools.TryRemove(pool, out _);

    public void AddServices(Func<IEnumerable<ServiceStatus>> services) => _services.TryAdd(services, 0);

    public void AddRegistration(Func<ServiceRegistrationStatus> registration) => _registrations.TryAdd(registration, 0);

    private void CreateOfPools(Meter meter)
    {
        meter.CreateObservableCounter(
            "discovery.client.picks",
            () => Pools().SelectMany(static p => new[]
            {
                Measure(p.Picked, p.Tags.With("discovery.pick.result", "picked")), Measure(p.NotPicked, p.Tags.With("discovery.pick.result", "none")),
            }),
            "{pick}",
            "How often an instance was chosen for a call, or none could be.");
        meter.CreateObservableCounter(
            "discovery.client.instance.picks",
            () => Pools().SelectMany(static p => p.ByInstance.Select(i => Measure(i.Calls, p.Tags.With("discovery.instance", i.Instance)))),
            "{pick}",
            "How often each instance was chosen; of at most 50 instances of a service.");
        meter.CreateObservableCounter(
            "discovery.client.ejections_enforced",
            () => Pools().Select(static p => Measure(p.EjectionsEnforced, p.Tags.ToList())),
            "{ejection}",
            "Failing instances that were left out.");
        meter.CreateObservableCounter(
            "discovery.client.ejections_unenforced",
            () => Pools().Select(static p => Measure(p.EjectionsUnenforced, p.Tags.ToList())),
            "{ejection}",
            "Failing instances that were called nevertheless, because too few would have been left.");
        meter.CreateObservableUpDownCounter(
            "discovery.client.instances",
            () => Pools().SelectMany(static p => p.States.Select(s => Measure(s.Value, p.Tags.With("discovery.instance.state", s.Key)))),
            "{instance}",
            "The instances of a service as this client has them.");
        meter.CreateObservableUpDownCounter(
            "discovery.client.active_calls",
            () => Pools().Select(static p => Measure(p.ActiveCalls, p.Tags.ToList())),
            "{call}",
            "The calls under way, until their responses end.");
    }

    private void CreateOfServices(Meter meter)
    {
        meter.CreateObservableGauge(
            "discovery.directory.snapshot.age",
            () => Services().Where(static s => s.Oldest is not null).Select(static s => new Measurement<double>(s.Oldest!.Value.TotalSeconds, s.Tags.ToList())),
            "s",
            "How long ago etcd last confirmed what is known of a service.");
        meter.CreateObservableUpDownCounter(
            "discovery.directory.watches",
            () => Services().SelectMany(static s => new[]
            {
                Measure(s.Open, s.Tags.With("discovery.watch.state", "open")), Measure(s.Count - s.Open, s.Tags.With("discovery.watch.state", "not_open")),
            }),
            "{watch}",
            "The watches of a service by whether they are open.");
        meter.CreateObservableUpDownCounter(
            "discovery.directory.bad_records",
            () => Services().Select(static s => Measure(s.BadRecords, s.Tags.ToList())),
            "{record}",
            "The records that are no instances, and are skipped.");
    }

    private void CreateOfRegistrations(Meter meter)
    {
        meter.CreateObservableUpDownCounter(
            "discovery.registration.state",
            () => Registrations().SelectMany(static r => AllStates.Select(state =>
            {
                var tags = ServiceTags.OfCluster(r.Cluster);
                tags.Add("discovery.registration.state", state.ToTag());
                return Measure(r.State == state ? 1 : 0, tags);
            })),
            "{registration}",
            "1 for the state that this application's registration is in, 0 for the others.");
        meter.CreateObservableGauge(
            "discovery.registration.lease.remaining",
            () => Registrations().Where(static r => r.LeaseId != 0)
                .Select(static r => new Measurement<double>(r.LeaseRemaining.TotalSeconds, ServiceTags.OfCluster(r.Cluster))),
            "s",
            "How long this application stays registered if etcd is not reached again.");
    }

    private static Measurement<long> Measure(long value, TagList tags) => new(value, tags);

    private IEnumerable<PoolCounts> Pools() => _pools.Keys.Select(static pool => pool());

    /// <summary>One service may be watched several times, in two layouts for example: backends keep one value for one set of tags.</summary>
    private IEnumerable<(ServiceTags Tags, TimeSpan? Oldest, int Count, int Open, int BadRecords)> Services()
        => _services.Keys.SelectMany(static services => services())
            .GroupBy(static s => new ServiceTags(s.ServiceName, s.Cluster))
            .Select(static g => (g.Key, g.Max(static s => s.Age), g.Count(), g.Count(static s => s.IsConnected), g.Sum(static s => s.SkippedRecords)));

    private IEnumerable<ServiceRegistrationStatus> Registrations() => _registrations.Keys.Select(static registration => registration());
}
