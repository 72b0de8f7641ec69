using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>One pool under a fake clock, and the service that it follows.</summary>
internal sealed class PoolRig : IDisposable
{
    private readonly Service _service = new();

    public PoolRig(
        IEnumerable<ServiceInstance> instances,
        Action<EtcdDiscoveryOptions>? configure = null,
        FakeTimeProvider? clock = null,
        IBalancingPolicy? policy = null,
        Action<SocketsHttpHandler>? transport = null)
    {
        Clock = clock ?? new FakeTimeProvider();
        var options = new EtcdDiscoveryOptions { Policy = BalancingPolicies.RoundRobin, SlowStart = TimeSpan.Zero };
        configure?.Invoke(options);
        var filter = new AddressFilter(options);
        Publish(instances);
        Pool = new ServicePool(
            "svc",
            options,
            _service,
            policy ?? new PolicyCatalog([]).Get(options.Policy, "Policy"),
            filter,
            new TransportFactory(options, filter, transport is null ? [] : [transport], Clock, NullLogger.Instance, meters: null),
            Clock,
            NullLogger.Instance,
            Clock);
    }

    public FakeTimeProvider Clock { get; }

    public ServicePool Pool { get; }

    public static ServiceInstance Record(int number, string id = "a") => new()
    {
        Key = $"svc/{number}",
        ServiceName = "svc",
        Host = $"10.0.{number / 250}.{(number % 250) + 1}",
        Port = 5000,
        InstanceId = $"{number}-{id}",
    };

    public static IEnumerable<ServiceInstance> Records(int count) => Enumerable.Range(0, count).Select(i => Record(i));

    public ServiceSnapshot Publish(IEnumerable<ServiceInstance> instances)
    {
        var snapshot = new ServiceSnapshot("svc", instances);
        _service.Feed.Publish(snapshot);
        return snapshot;
    }

    /// <summary>Publishes instances and waits until calls go by them.</summary>
    public async Task FollowAsync(IEnumerable<ServiceInstance> instances)
    {
        var snapshot = Publish(instances);
        await Eventually.IsTrue(() =>
        {
            Clock.Advance(TimeSpan.FromMilliseconds(50));
            return Pool.Current!.Snapshot == snapshot;
        });
    }

    /// <summary>Has a call answered, and another that did not wait for the connection.</summary>
    public static void Answer(InstanceState instance)
    {
        for (var i = 0; i < 2; i++)
        {
            instance.OnCallEnded(instance.OnHeaders(instance.OnCallStarted()), CallOutcome.Success);
        }
    }

    /// <summary>Where calls go, and how many.</summary>
    public Dictionary<ServiceInstance, int> Count(int calls, string? version = null, bool withKeys = false)
    {
        var needs = new CallNeeds("http", InstanceProtocols.Http1, version);
        return Enumerable.Range(0, calls)
            .Select(i => withKeys ? $"key-{i}" : null)
            .Select(key => Pool.Current!.For(needs, key)!.Pick(new PickArguments { HashKey = key })!.Record)
            .CountBy(static r => r)
            .ToDictionary();
    }

    public void Dispose() => Pool.Dispose();

    private sealed class Service : IWatchedService
    {
        public SnapshotFeed Feed { get; } = new();

        public ServiceStatus Status { get; } = new() { ServiceName = "svc", Prefix = "svc/", IsReady = true, IsConnected = true, Revision = 1 };

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken) => new(Feed.Current!);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
