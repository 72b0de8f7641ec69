using System.Collections.Concurrent;
using System.Globalization;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>Balances the requests to one cluster of the proxy.</summary>
internal sealed class ClusterBalancer
{
    /// <summary>How many lists are kept at a time: a middleware may have one for each version or group of users.</summary>
    private const int MostLists = 8;

    private readonly Lock _gate = new();
    private readonly EtcdDiscoveryOptions _options;
    private readonly InstanceContext _context;
    private readonly IBalancingPolicy _policy;
    private readonly ConcurrentDictionary<DestinationState, InstanceState> _instances = [];
    private volatile Current[] _latest = [];
    private volatile bool _isOutdated;

    /// <summary>Creates a balancer.</summary>
    /// <param name="serviceName">The service whose settings count; empty for those of all services.</param>
    /// <param name="options">The settings, for this balancer alone.</param>
    /// <param name="policy">The policy.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The logger.</param>
    public ClusterBalancer(string serviceName, EtcdDiscoveryOptions options, IBalancingPolicy policy, TimeProvider time, ILogger logger)
    {
        ServiceName = serviceName;
        _options = options;
        _policy = policy;
        _context = new InstanceContext(time, options, logger) { Changed = (_, _) => _isOutdated = true };
    }

    public string ServiceName { get; }

    /// <summary>The destinations with their live state.</summary>
    public IReadOnlyList<InstanceState> Instances => _context.Instances;

    /// <summary>How many requests are under way.</summary>
    public int InFlight => Instances.Sum(static i => i.InFlight);

    /// <summary>Chooses one of the destinations that may be called.</summary>
    /// <param name="available">Those that may be called: the proxy's own list, or one that a middleware made for the request.</param>
    /// <param name="all">All of the cluster.</param>
    /// <returns>Null if there is none, or all are ejected.</returns>
    public (DestinationState Destination, InstanceState Instance)? Pick(
        IReadOnlyList<DestinationState> available, IReadOnlyList<DestinationState> all)
    {
        var current = Find(available) ?? Build(available, all);
        return current.Balancer.Pick(new PickArguments()) is { } instance ? (current.Destinations[instance], instance) : null;
    }

    /// <summary>The live state of a destination that was not chosen here.</summary>
    /// <param name="destination">The destination.</param>
    /// <param name="all">All of the cluster.</param>
    public InstanceState InstanceOf(DestinationState destination, IReadOnlyList<DestinationState> all)
    {
        if (_instances.TryGetValue(destination, out var known))
        {
            return known;
        }

        lock (_gate)
        {
            Follow([.. all, destination]);
            return _instances[destination];
        }
    }

    /// <summary>The live state of a destination; null before the first request after it came.</summary>
    public InstanceState? Find(DestinationState destination) => _instances.GetValueOrDefault(destination);

    /// <summary>Goes by changed settings from now on.</summary>
    public void Apply(EtcdDiscoveryOptions changed)
    {
        lock (_gate)
        {
            _options.Adopt(changed);
            _isOutdated = true;
        }
    }

    private Current? Find(IReadOnlyList<DestinationState> available)
    {
        if (!_isOutdated)
        {
            foreach (var current in _latest)
            {
                if (current.IsOf(available) && !current.IsOver(_context))
                {
                    return current;
                }
            }
        }

        return null;
    }

    private Current Build(IReadOnlyList<DestinationState> available, IReadOnlyList<DestinationState> all)
    {
        lock (_gate)
        {
            if (Find(available) is { } built)
            {
                return built;
            }

            var others = _isOutdated ? [] : _latest.Where(c => !c.IsOf(available) && !c.IsOver(_context)).Take(MostLists - 1);
            _isOutdated = false;

            Follow([.. all, .. available]);
            var destinations = available.Distinct().ToDictionary(d => _instances[d]);
            var current = new Current(available, BalancerBuilder.Build([.. destinations.Keys], _context, _policy), destinations, _context);
            _latest = [current, .. others];
            return current;
        }
    }

    /// <summary>Keeps the live state of these destinations and of no others. Callers take turns.</summary>
    private void Follow(HashSet<DestinationState> members)
    {
        // A destination that is unhealthy for a while is kept; one that left the cluster is another object when it comes back.
        foreach (var (destination, _) in _instances)
        {
            if (!members.Contains(destination))
            {
                _instances.TryRemove(destination, out _);
            }
        }

        foreach (var destination in members)
        {
            var record = RecordOf(destination);
            if (_instances.TryGetValue(destination, out var known))
            {
                known.Update(record);
            }
            else
            {
                _instances[destination] = new InstanceState(record, _context, isJoining: _context.HasAnswers);
            }
        }

        _context.Instances = [.. _instances.Values];
    }

    /// <summary>What an instance's record would say of a destination.</summary>
    public static ServiceInstance RecordOf(DestinationState destination)
    {
        var config = destination.Model.Config;
        var address = new Uri(config.Address);
        return new ServiceInstance
        {
            Key = destination.DestinationId,
            ServiceName = config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Service) ?? "",
            Scheme = address.Scheme,
            Host = address.IdnHost,
            Port = address.Port,
            InstanceId = config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.InstanceId),
            Zone = config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Zone),
            Weight = int.TryParse(
                config.Metadata?.GetValueOrDefault(EtcdDestinationMetadata.Weight), NumberStyles.None, CultureInfo.InvariantCulture, out var weight)
                ? weight
                : ServiceInstance.DefaultWeight,
        };
    }

    /// <summary>What requests go by until the next change.</summary>
    private sealed class Current(
        IReadOnlyList<DestinationState> available, Balancer balancer, Dictionary<InstanceState, DestinationState> destinations, InstanceContext context)
    {
        private readonly DestinationModel[] _models = [.. available.Select(static d => d.Model)];
        private readonly long _until = balancer.RebuildAfter is { } after ? context.ReadClock() + context.ToTicks(after) : long.MaxValue;

        public Balancer Balancer => balancer;

        public Dictionary<InstanceState, DestinationState> Destinations => destinations;

        /// <summary>
        /// Whether it is for a list. YARP makes another one whenever its destinations or their health change, and a middleware makes one for each
        /// request, with the same members.
        /// </summary>
        public bool IsOf(IReadOnlyList<DestinationState> list)
        {
            if (ReferenceEquals(list, available))
            {
                return true;
            }

            if (list.Count != _models.Length)
            {
                return false;
            }

            for (var i = 0; i < _models.Length; i++)
            {
                if (list[i].Model != _models[i])
                {
                    return false;
                }
            }

            return true;
        }

        /// <summary>Whether an ejection has ended since.</summary>
        public bool IsOver(InstanceContext clock) => clock.CoarseNow >= _until;
    }
}
