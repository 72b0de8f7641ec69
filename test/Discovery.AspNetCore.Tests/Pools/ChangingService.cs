using System.Text;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>
/// A pool and all that is between it and etcd's events. Changes are collected until <see cref="Build"/>, which builds on the thread that asks for it.
/// </summary>
internal sealed class ChangingService : IDisposable
{
    private readonly EtcdNamingLayout _layout = new(root: null);
    private readonly FakeTimeProvider _pace = new();
    private readonly Watched _watched = new();
    private readonly ServiceState _state;
    private readonly Dictionary<string, EtcdKeyValue> _records = new(StringComparer.Ordinal);
    private long _revision = 1;

    public ChangingService(IEnumerable<ServiceInstance> instances, EtcdDiscoveryOptions options, IBalancingPolicy? policy = null)
    {
        Options = options;
        _state = new ServiceState("svc", _layout, options.HoldDuration, _watched.Feed, Clock, NullLogger.Instance);
        foreach (var instance in instances)
        {
            Keep(instance);
        }

        List();
        var filter = new AddressFilter(options);
        Pool = new ServicePool(
            "svc",
            options,
            _watched,
            policy ?? new PolicyCatalog([]).Get(options.Policy, "Policy"),
            filter,
            new TransportFactory(options, filter, [], Clock, NullLogger.Instance, meters: null),
            Clock,
            NullLogger.Instance,
            _pace);
        UseUpUrgentBuilds();
    }

    public FakeTimeProvider Clock { get; } = new();

    public EtcdDiscoveryOptions Options { get; }

    public ServicePool Pool { get; }

    public PoolSnapshot Current => Pool.Current!;

    /// <summary>All keys there are.</summary>
    public IReadOnlyCollection<string> Keys => _records.Keys;

    public static ServiceInstance Record(int number) => new()
    {
        Key = $"services/svc/{number}",
        ServiceName = "svc",
        Host = $"10.0.{number / 250}.{(number % 250) + 1}",
        Port = 5000,
    };

    /// <summary>Writes records, in one transaction.</summary>
    public void Put(IEnumerable<ServiceInstance> instances)
    {
        _revision++;
        Apply([.. instances.Select(i => new EtcdWatchEvent { Deleted = false, Record = Keep(i) })]);
    }

    /// <summary>Deletes keys, in one transaction.</summary>
    public void Delete(IEnumerable<string> keys)
    {
        _revision++;
        Apply([.. keys.Where(_records.Remove).Select(k => new EtcdWatchEvent { Deleted = true, Record = RecordOf(k, []) })]);
    }

    /// <summary>Changes records and keys without a word, as while the watch is away.</summary>
    public void ChangeUnseen(IEnumerable<ServiceInstance> put, IEnumerable<string> deleted)
    {
        _revision++;
        foreach (var key in deleted)
        {
            _records.Remove(key);
        }

        foreach (var instance in put)
        {
            Keep(instance);
        }
    }

    /// <summary>Lists the service.</summary>
    public void List() => _state.Apply(new EtcdListing { Items = [.. _records.Values], Revision = _revision, ClusterId = 1 }, ServiceChangeReason.Listed);

    /// <summary>Lets go of instances that were held for long enough.</summary>
    public void ReleaseHeld() => _state.ReleaseHeld();

    /// <summary>What was collected is built, on this thread.</summary>
    public void Build()
    {
        _pace.Advance(RebuildSchedule.Interval);
        Assert.Same(_watched.Feed.Current, Current.Snapshot);
    }

    public void Dispose() => Pool.Dispose();

    /// <summary>The first urgent changes are built at once, on another thread.</summary>
    private void UseUpUrgentBuilds()
    {
        for (var i = 0; i < RebuildSchedule.UrgentInRow; i++)
        {
            var before = Current;
            before.Instances[0].Context.OnChanged(before.Instances[0], isUrgent: true);
            Assert.True(SpinWait.SpinUntil(() => Current != before, TimeSpan.FromSeconds(30)));
        }
    }

    private void Apply(IReadOnlyList<EtcdWatchEvent> events)
        => _state.Apply(new EtcdWatchUpdate { Kind = EtcdWatchUpdateKind.Changed, Revision = _revision, Events = events, ClusterId = 1 });

    private EtcdKeyValue Keep(ServiceInstance instance) => _records[instance.Key] = RecordOf(instance.Key, _layout.Write(instance));

    private EtcdKeyValue RecordOf(string key, byte[] value)
        => new() { KeyBytes = Encoding.UTF8.GetBytes(key), Value = value, CreateRevision = _revision, ModRevision = _revision, Version = 1 };

    private sealed class Watched : IWatchedService
    {
        public SnapshotFeed Feed { get; } = new();

        public ServiceStatus Status { get; } = new() { ServiceName = "svc", Prefix = "services/svc/", IsReady = true, IsConnected = true, Revision = 1 };

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken) => new(Feed.Current!);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
