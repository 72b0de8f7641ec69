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

    private readonly Dictionary<string, InstanceState> _byAddress = new(StringComparer.Ordinal);
    private readonly HashSet<string> _loggedRefusals = new(StringComparer.Ordinal);
    private ServiceSnapshot? _followed;
    private int _generation;
    private bool _isFilterChanged;

    /// <summary>The calls that instances got which left.</summary>
    public long CallsOfRetired { get; private set; }

    public IReadOnlyCollection<InstanceState> All => _byAddress.Values;

    /// <summary>How many instances of the snapshot may not be dialled.</summary>
    public int Refused { get; private set; }

    /// <summary>Has addresses filtered by changed settings, from the next <see cref="Follow(ServiceSnapshot, bool)"/> on.</summary>
    public void ApplyFilter(EtcdDiscoveryOptions changed)
    {
        filter.Apply(changed);
        _isFilterChanged = true;
    }

    /// <summary>Takes over a snapshot.</summary>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="areJoining">Whether new instances join a running client, and so start slowly.</param>
    public void Follow(ServiceSnapshot snapshot, bool areJoining)
    {
        if (snapshot == _followed && !_isFilterChanged)
        {
            return;
        }

        Refused = 0;
        _generation++;
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

        _followed = snapshot;
        _isFilterChanged = false;
    }

    /// <summary>
    /// The instances that may be called. One that is held though etcd has it no longer is left out while it is ejected, even where the
    /// balancer would spare it: nothing says that it is still there. It gets another chance after each ejection, but none once somebody
    /// else answered at its address.
    /// </summary>
    public List<InstanceState> SelectCallable()
    {
        if (_followed is null or { Held.IsEmpty: true })
        {
            return [.. _byAddress.Values];
        }

        var now = context.ReadClock();
        var callable = new List<InstanceState>(_byAddress.Count);
        List<InstanceState> leftOut = [];
        foreach (var instance in _byAddress.Values)
        {
            if (instance.IsHeld && instance.Health.WantsEjection(now))
            {
                leftOut.Add(instance);
            }
            else if (!instance.IsGivenUp)
            {
                callable.Add(instance);
            }
        }

        context.Ejections.Report(leftOut, [], "", context);
        return callable;
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

    private void Follow(string address, ServiceInstance record, bool isHeld, bool isJoining)
    {
        // Nearly all are as they were; of those nothing needs to be looked at.
        if (_byAddress.TryGetValue(address, out var known)
            && ((ReferenceEquals(known.Record, record) && !_isFilterChanged) || (filter.Allows(record) && !IsAnotherProcess(known.Record, record))))
        {
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
            _byAddress[address] = new InstanceState(record, context, isJoining)
            {
                Pool = pool,
                Transport = transports.Create(record),
                Generation = _generation,
                IsHeld = isHeld,
            };
        }
        else
        {
            Refuse(address, record);
        }
    }

    private static string StateOf(InstanceState instance, long now)
        => instance.IsHeld ? "held" : instance.Record.IsDraining ? "draining" : instance.Health.WantsEjection(now) ? "ejected" : "available";

    private void Retire(string address, InstanceState instance)
    {
        _byAddress.Remove(address);
        CallsOfRetired += instance.Calls;
        retired.Add(instance);
    }

    private void Refuse(string address, ServiceInstance record)
    {
        Refused++;
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
