using System.Collections.Frozen;
using System.Collections.Immutable;
using Discovery.AspNetCore.Watching;

namespace Discovery.AspNetCore;

/// <summary>The instances of a service as they stood at one revision of etcd. Immutable; a change publishes a new one.</summary>
public sealed class ServiceSnapshot
{
    private readonly ImmutableDictionary<string, ServiceInstance> _present;

    /// <summary>
    /// Creates a snapshot. For tests and infrastructure, such as an <see cref="IServiceDirectory"/> of your own; applications get theirs
    /// from the directory.
    /// </summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="instances">The instances; of several at one address the last counts.</param>
    public ServiceSnapshot(string serviceName, IEnumerable<ServiceInstance> instances)
        : this(serviceName, ByAddressOf(instances), ByAddressOf([]))
    {
    }

    internal ServiceSnapshot(
        string serviceName, ImmutableDictionary<string, ServiceInstance> present, ImmutableDictionary<string, ServiceInstance> held)
    {
        ServiceName = serviceName;
        _present = present;
        Held = held;
    }

    /// <summary>The service's name.</summary>
    public string ServiceName { get; }

    /// <summary>The prefix of the service's keys in etcd, or the setting that has the instances. Default: empty.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>The instances, one for each address, in no order; those that drain are among them.</summary>
    public IReadOnlyCollection<ServiceInstance> Instances => new Values(this);

    /// <summary>etcd's revision that this is the state of. Default: 0, where etcd has no part in it.</summary>
    public long Revision { get; init; }

    /// <summary>Why this snapshot was published. Default: <see cref="ServiceChangeReason.Listed"/>.</summary>
    public ServiceChangeReason Reason { get; init; }

    /// <summary>When this snapshot was published. Default: the least time there is.</summary>
    public DateTimeOffset PublishedAt { get; init; }

    /// <summary>
    /// The addresses that are no longer in etcd but are still called, because most of the service vanished at once without draining.
    /// </summary>
    public IReadOnlySet<string> HeldAddresses => field ??= Held.Keys.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The stale instances that are held, by address; none of them is present. Both stay apart, so that a change copies neither.</summary>
    internal ImmutableDictionary<string, ServiceInstance> Held { get; }

    /// <summary>The instances that are in etcd, by address.</summary>
    internal ImmutableDictionary<string, ServiceInstance> Present => _present;

    /// <summary>All instances with their addresses.</summary>
    internal IEnumerable<KeyValuePair<string, ServiceInstance>> ByAddress => Held.IsEmpty ? _present : _present.Concat(Held);

    internal int Count => _present.Count + Held.Count;

    /// <summary>What tells the snapshot from all others of this process; 0 if it may not be told.</summary>
    internal long Id { get; init; }

    /// <summary>What this snapshot has changed; null if that is not known, and all may be different.</summary>
    internal SnapshotChange? Change { get; init; }

    /// <summary>Finds the instance at an address, e.g. <c>10.0.0.1:5000</c>.</summary>
    /// <param name="address">Host and port.</param>
    /// <returns>The instance, or <see langword="null"/>.</returns>
    public ServiceInstance? Find(string address) => _present.GetValueOrDefault(address) ?? Held.GetValueOrDefault(address);

    private static ImmutableDictionary<string, ServiceInstance> ByAddressOf(IEnumerable<ServiceInstance> instances)
    {
        var byAddress = ImmutableDictionary.CreateBuilder<string, ServiceInstance>(StringComparer.Ordinal);
        foreach (var instance in instances)
        {
            byAddress[instance.Address] = instance;
        }

        return byAddress.ToImmutable();
    }

    /// <summary>A view that counts in constant time and copies nothing.</summary>
    private sealed class Values(ServiceSnapshot snapshot) : IReadOnlyCollection<ServiceInstance>
    {
        public int Count => snapshot.Count;

        public IEnumerator<ServiceInstance> GetEnumerator() => snapshot.ByAddress.Select(static i => i.Value).GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
