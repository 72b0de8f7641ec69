using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The live instances of a pool, by address. Follows the directory's snapshots: what stays keeps its state and connections, what leaves is
/// retired. Used by one thread at a time.
/// </summary>
internal sealed partial class PoolInstances(
    ServicePool pool, InstanceContext context, AddressFilter filter, TransportFactory transports, RetiredInstances retired, ILogger logger)
{
    /// <summary>How many refused addresses are logged; a prefix full of them must not flood the log.</summary>
    private const int MaxLoggedRefusals = 100;

    /// <summary>The generation of instances that left.</summary>
    private const int Left = -1;

    /// <summary>A service of fewer is gone through as a whole: that takes microseconds, and nothing needs to be kept for the next time.</summary>
    private const int LeastToUpdate = 128;

    /// <summary>How many instances there must be for each change. Where more has changed, it takes less to go through everything.</summary>
    private const int InstancesPerChange = 4;

    private readonly Dictionary<string, InstanceState> _byAddress = new(StringComparer.Ordinal);
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal);
    private readonly HashSet<string> _loggedRefusals = new(StringComparer.Ordinal);

    /// <summary>Those that are ejected or start slowly: their standing changes with time, and nothing says so.</summary>
    private readonly HashSet<InstanceState> _unsettled = [];

    /// <summary>What has changed, and the records before; null while everything is gone through.</summary>
    private Dictionary<InstanceState, ServiceInstance>? _changed;

    private ServiceSnapshot? _followed;
    private InstanceList.Builder? _callable;
    private int _generation;
    private bool _isFilterChanged;

    /// <summary>The calls that instances got which left.</summary>
    public long CallsOfRetired { get; private set; }

    public IReadOnlyCollection<InstanceState> All => _byAddress.Values;

    /// <summary>The instances that are ejected or start slowly.</summary>
    public IReadOnlyCollection<InstanceState> Unsettled => _unsettled;

    /// <summary>
    /// The instances that may be called. One that is held though etcd has it no longer is left out while it is ejected, even where the
    /// balancer would spare it: nothing says that it is still there. It gets another chance after each ejection, but none once somebody
    /// else answered at its address.
    /// </summary>
    public InstanceList Callable { get; private set; } = InstanceList.Empty;

    /// <summary>How many instances of the snapshot may not be dialled.</summary>
    public int Refused => _refused.Count;

    /// <summary>Has addresses filtered by changed settings, from the next snapshot that is taken over on.</summary>
    public void ApplyFilter(EtcdDiscoveryOptions changed)
    {
        filter.Apply(changed);
        _isFilterChanged = true;
    }

    /// <summary>Takes over a snapshot.</summary>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="since">What may be different since the snapshot before.</param>
    /// <param name="areJoining">Whether new instances join a running client, and so start slowly.</param>
    /// <param name="now">The time.</param>
    /// <returns>What has changed, instances that left among it; null if everything may have.</returns>
    public IReadOnlyList<InstanceChange>? Follow(ServiceSnapshot snapshot, ChangesSince since, bool areJoining, long now)
    {
        _generation++;
        var isUpdate = since.Addresses is not null
            && _byAddress.Count >= LeastToUpdate
            && (since.Addresses.Count + since.Instances.Count) * InstancesPerChange <= _byAddress.Count;
        _changed = isUpdate ? [] : null;
        if (isUpdate)
        {
            FollowChanges(snapshot, since, areJoining, now);
        }
        else
        {
            FollowAll(snapshot, areJoining, now);
        }

        _followed = snapshot;
        _isFilterChanged = false;
        transports.InstanceCount = Callable.Count;
        var leftOut = snapshot.Held.IsEmpty ? [] : _unsettled.Where(i => i.IsHeld && i.Health.WantsEjection(now)).ToList();
        context.Ejections.Report(leftOut, [], "", context);
        return _changed?.Select(static c => new InstanceChange(c.Key, c.Value)).ToList();
    }

    /// <summary>What was counted, and how the instances stand.</summary>
    /// <param name="tags">The pool's tags.</param>
    /// <param name="notPicked">How often there was no instance for a call.</param>
    public PoolCounts Count(ServiceTags tags, long notPicked)
    {
        var now = context.Clock.GetTimestamp();
        var states = new Dictionary<string, int>(StringComparer.Ordinal)
        {
            ["available"] = 0, ["draining"] = 0, ["ejected"] = 0, ["held"] = 0, ["refused"] = Refused,
        };
        foreach (var instance in All)
        {
            states[StateOf(instance, now)]++;
        }

        return new PoolCounts
        {
            Tags = tags,
            Picked = CallsOfRetired + All.Sum(static i => i.Calls),
            NotPicked = notPicked,
            EjectionsEnforced = context.Ejections.Enforced,
            EjectionsUnenforced = context.Ejections.NotEnforced,
            ActiveCalls = All.Sum(static i => i.InFlight),
            States = states,
            ByInstance =
            [
                .. All.OrderBy(static i => i.Record.Address, StringComparer.Ordinal).Take(PoolCounts.MaxInstances)
                    .GroupBy(static i => i.Record.InstanceId ?? i.Record.Address, StringComparer.Ordinal)
                    .Select(static g => (g.Key, g.Sum(static i => i.Calls))),
            ],
        };
    }

    /// <summary>Closes the connections of all.</summary>
    public void Clear()
    {
        foreach (var instance in _byAddress.Values)
        {
            instance.Transport?.Dispose();
        }

        _byAddress.Clear();
    }

    private static bool IsCallable(InstanceState instance, long now)
        => !instance.IsGivenUp && !(instance.IsHeld && instance.Health.WantsEjection(now));

    private void FollowAll(ServiceSnapshot snapshot, bool areJoining, long now)
    {
        if (snapshot != _followed || _isFilterChanged)
        {
            _refused.Clear();
            foreach (var (address, record) in snapshot.Present)
            {
                Follow(address, record, isHeld: false, areJoining);
            }

            foreach (var (address, record) in snapshot.Held)
            {
                Follow(address, record, isHeld: true, areJoining);
            }

            // Cheaper than to look each of them up in the snapshot.
            foreach (var (address, instance) in _byAddress)
            {
                if (instance.Generation != _generation)
                {
                    Retire(address, instance);
                }
            }
        }

        _unsettled.Clear();
        foreach (var instance in _byAddress.Values)
        {
            Settle(instance, now);
        }

        _callable = null;
        Callable = InstanceList.Of(snapshot.Held.IsEmpty ? _byAddress.Values : [.. _byAddress.Values.Where(i => IsCallable(i, now))]);
    }

    private void FollowChanges(ServiceSnapshot snapshot, ChangesSince since, bool areJoining, long now)
    {
        foreach (var address in since.Addresses!)
        {
            if (snapshot.Present.TryGetValue(address, out var record))
            {
                Follow(address, record, isHeld: false, areJoining);
            }
            else if (snapshot.Held.TryGetValue(address, out record))
            {
                Follow(address, record, isHeld: true, areJoining);
            }
            else
            {
                _refused.Remove(address);
                if (_byAddress.TryGetValue(address, out var gone))
                {
                    Retire(address, gone);
                }
            }
        }

        foreach (var instance in since.Instances)
        {
            if (instance.Generation != Left)
            {
                OnChanged(instance, instance.Record);
            }
        }

        foreach (var instance in _unsettled)
        {
            if (instance.IsHeld)
            {
                // The end of its ejection is no event.
                OnChanged(instance, instance.Record);
            }

            Settle(instance, now);
        }

        _callable ??= new InstanceList.Builder(Callable);
        foreach (var instance in _changed!.Keys)
        {
            if (instance.Generation != Left && IsCallable(instance, now))
            {
                _callable.Set(instance);
            }
            else
            {
                _callable.Remove(instance);
            }
        }

        Callable = _callable.ToList();
    }

    private void Follow(string address, ServiceInstance record, bool isHeld, bool isJoining)
    {
        // Nearly all are as they were; of those nothing needs to be looked at.
        if (_byAddress.TryGetValue(address, out var known)
            && ((ReferenceEquals(known.Record, record) && !_isFilterChanged) || (filter.Allows(record) && !IsAnotherProcess(known.Record, record))))
        {
            OnChanged(known, known.Record);
            if (!ReferenceEquals(known.Record, record))
            {
                known.Update(record);
            }

            known.IsHeld = isHeld;
            known.Generation = _generation;
            return;
        }

        if (known is not null)
        {
            Retire(address, known);
        }

        if (filter.Allows(record))
        {
            var instance = new InstanceState(record, context, isJoining)
            {
                Pool = pool,
                Transport = transports.Create(record),
                Generation = _generation,
                IsHeld = isHeld,
            };
            _byAddress[address] = instance;
            _refused.Remove(address);
            OnChanged(instance, record);
        }
        else
        {
            Refuse(address, record);
        }
    }

    /// <summary>Has a change counted: the instance came, leaves, or its record or its own state is about to be different or is so.</summary>
    private void OnChanged(InstanceState instance, ServiceInstance recordBefore)
    {
        if (_changed?.TryAdd(instance, recordBefore) == true)
        {
            _unsettled.Add(instance);
        }
    }

    /// <summary>Decides whether an instance is to be looked at each time.</summary>
    private void Settle(InstanceState instance, long now)
    {
        if (instance.Generation != Left
            && (instance.Health.WantsEjection(now) || SlowStart.IsStarting(instance, now, context.ToTicks(context.Options.SlowStart))))
        {
            _unsettled.Add(instance);
        }
        else
        {
            instance.StartPart = 1;
            _unsettled.Remove(instance);
        }
    }

    private static string StateOf(InstanceState instance, long now)
        => instance.IsHeld ? "held" : !instance.Record.TakesNewCalls ? "draining" : instance.Health.WantsEjection(now) ? "ejected" : "available";

    private void Retire(string address, InstanceState instance)
    {
        OnChanged(instance, instance.Record);
        instance.Generation = Left;
        _byAddress.Remove(address);
        CallsOfRetired += instance.Calls;
        retired.Add(instance);
    }

    private void Refuse(string address, ServiceInstance record)
    {
        _refused.Add(address);
        if (_loggedRefusals.Count < MaxLoggedRefusals && _loggedRefusals.Add(address))
        {
            // Anybody may have written the key.
            Log.Refused(logger, ForeignText.Show(record.Key), ForeignText.Show(address));
            if (_loggedRefusals.Count == MaxLoggedRefusals)
            {
                Log.MoreRefused(logger, MaxLoggedRefusals, pool.ServiceName);
            }
        }
    }

    /// <summary>
    /// Live state belongs to the process behind an address: one that was restarted at the same address is not slow or failing because
    /// its predecessor was.
    /// </summary>
    private static bool IsAnotherProcess(ServiceInstance before, ServiceInstance after)
        => before.InstanceId is not null && after.InstanceId is not null && before.InstanceId != after.InstanceId;

    private static partial class Log
    {
        [LoggerMessage(2301, LogLevel.Warning, "The record {Key} leads to {Address}, which may not be dialled (Etcd:Discovery:AllowedNetworks, "
            + "AllowedPorts, AllowLoopback); it is not called.")]
        public static partial void Refused(ILogger logger, string key, string address);

        [LoggerMessage(2303, LogLevel.Warning, "{Count} addresses of service '{Service}' that may not be dialled were logged; others are left out.")]
        public static partial void MoreRefused(ILogger logger, int count, string service);
    }
}
