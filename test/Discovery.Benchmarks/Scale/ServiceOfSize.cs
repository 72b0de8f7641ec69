using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks.Scale;

/// <summary>
/// A service of so many instances in one client, from the records in etcd to the balancer, with everything between the stream of events and
/// the wire. All of it runs on the thread that makes a change, so that its cost can be told from others'.
/// </summary>
internal sealed class ServiceOfSize : IDisposable
{
    private const string Service = "bench";

    private readonly FakeTimeProvider _clock = new();
    private readonly PublishedService _service = new();
    private readonly ServiceState _state;
    private readonly ServicePool? _pool;
    private readonly CallNeeds _needs = new(Uri.UriSchemeHttp, InstanceProtocols.Http2, Version: null);
    private long _revision = 1;
    private bool _areUrgentBuildsUsedUp;

    /// <summary>Lists the service.</summary>
    /// <param name="size">How many instances.</param>
    /// <param name="policy">The policy; null for no client, only what the directory knows.</param>
    /// <param name="subset">How many of the instances the client uses; 0 for all.</param>
    public ServiceOfSize(int size, string? policy, int subset = 0)
    {
        _state = new ServiceState(Service, new EtcdNamingLayout(root: null), TimeSpan.FromMinutes(5), _service.Feed, _clock, NullLogger.Instance);
        _state.Apply(
            new EtcdListing { Items = [.. Enumerable.Range(0, size).Select(i => Records.Create(Service, Records.AddressOf(i), _revision))], Revision = _revision, ClusterId = 1 },
            ServiceChangeReason.Listed);
        if (policy is not null)
        {
            var options = new EtcdDiscoveryOptions { Policy = policy, SubsetSize = subset, ClientId = "bench-0" };
            var filter = new AddressFilter(options);
            _pool = new ServicePool(
                Service, options, _service, new PolicyCatalog([]).Get(policy, "Policy"), filter,
                new TransportFactory(options, filter, [], _clock, NullLogger.Instance, meters: null), _clock, NullLogger.Instance, _clock);
            Pick();
        }
    }

    /// <summary>An event of one instance comes, and the next call is picked by what is then.</summary>
    public void Change(int instance, bool isDraining)
    {
        var record = Records.Create(Service, Records.AddressOf(instance), ++_revision, isDraining);
        _state.Apply(new EtcdWatchUpdate
        {
            Kind = EtcdWatchUpdateKind.Changed,
            Revision = _revision,
            Events = [new EtcdWatchEvent { Deleted = false, Record = record }],
            ClusterId = 1,
        });

        // What was collected is built by the timer, on this thread.
        _clock.Advance(RebuildSchedule.Interval);
        Pick();
        if (_pool!.Current!.Snapshot != _service.Feed.Current)
        {
            throw new InvalidOperationException("The change has not got to the balancer.");
        }
    }

    /// <summary>Five calls to an instance fail, so it is ejected; and when that is over, it is called again.</summary>
    public void Eject(int number)
    {
        UseUpUrgentBuilds();
        var instance = _pool!.Current!.Instances[number];
        for (var i = 0; i < 5; i++)
        {
            instance.OnCallEnded(instance.OnCallStarted(), CallOutcome.Failure);
        }

        _clock.Advance(RebuildSchedule.Interval);
        Pick();
        Check(instance, isInUse: false);

        // Not a moment longer: after a pause, an urgent change would be built at once, on another thread.
        _clock.Advance(instance.EjectionLeft + TimeSpan.FromMilliseconds(1));
        Pick();
        Check(instance, isInUse: true);
    }

    public void Dispose() => _pool?.Dispose();

    /// <summary>The first urgent changes are built at once, on another thread.</summary>
    private void UseUpUrgentBuilds()
    {
        for (var i = 0; i < RebuildSchedule.UrgentInRow && !_areUrgentBuildsUsedUp; i++)
        {
            var before = _pool!.Current!;
            before.Instances[0].Context.OnChanged(before.Instances[0], isUrgent: true);
            SpinWait.SpinUntil(() => _pool.Current != before);
        }

        _areUrgentBuildsUsedUp = true;
    }

    private void Check(InstanceState instance, bool isInUse)
    {
        var inUse = _pool!.Current!.For(_needs, hashKey: null)!.InUse;
        if ((inUse is InstanceList list ? list.Contains(instance) : inUse.Contains(instance)) != isInUse)
        {
            throw new InvalidOperationException($"The instance is {(isInUse ? "not " : "")}in use.");
        }
    }

    private void Pick()
    {
        if (_pool!.Current!.For(_needs, hashKey: null)?.Pick(new PickArguments { HashKey = "key" }) is null)
        {
            throw new InvalidOperationException("No instance was picked.");
        }
    }

    private sealed class PublishedService : IWatchedService
    {
        public SnapshotFeed Feed { get; } = new();

        public ServiceStatus Status { get; } = new() { ServiceName = Service, Prefix = "", IsReady = true, IsConnected = true, Revision = 1 };

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken) => new(Feed.Current!);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
