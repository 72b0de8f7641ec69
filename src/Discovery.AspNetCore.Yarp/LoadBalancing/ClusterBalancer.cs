using System.Globalization;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>Balances the requests to one cluster of the proxy.</summary>
internal sealed class ClusterBalancer
{
    private readonly Lock _gate = new();
    private readonly EtcdDiscoveryOptions _options;
    private readonly InstanceContext _context;
    private readonly IBalancingPolicy _policy;
    private readonly Dictionary<DestinationState, InstanceState> _instances = [];
    private volatile Current? _current;
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

    /// <summary>How many requests are under way.</summary>
    public int InFlight => _context.Instances.Sum(static i => i.InFlight);

    /// <summary>Chooses one of the destinations, of which there must be some.</summary>
    public (DestinationState Destination, InstanceState Instance) Pick(IReadOnlyList<DestinationState> available)
    {
        // YARP makes another list whenever its destinations or their health change.
        var current = _current;
        if (current is null || _isOutdated || !ReferenceEquals(current.Available, available) || current.IsOver(_context))
        {
            current = Build(available);
        }

        var instance = current.Balancer.Pick(new PickArguments())!;
        return (current.Destinations[instance], instance);
    }

    /// <summary>Goes by changed settings from now on.</summary>
    public void Apply(EtcdDiscoveryOptions changed)
    {
        lock (_gate)
        {
            _options.Adopt(changed);
            _isOutdated = true;
        }
    }

    private Current Build(IReadOnlyList<DestinationState> available)
    {
        lock (_gate)
        {
            _isOutdated = false;
            var isFirst = _current is null;
            var destinations = new Dictionary<InstanceState, DestinationState>(available.Count);
            foreach (var destination in available)
            {
                destinations[Of(destination, !isFirst)] = destination;
            }

            Forget(available);
            List<InstanceState> instances = [.. destinations.Keys];
            _context.Instances = instances;
            var balancer = BalancerBuilder.Build(instances, _context, _policy);
            return _current = new Current(available, balancer, destinations, _context);
        }
    }

    private InstanceState Of(DestinationState destination, bool isJoining)
    {
        var record = RecordOf(destination);
        if (_instances.TryGetValue(destination, out var known))
        {
            known.Update(record);
            return known;
        }

        return _instances[destination] = new InstanceState(record, _context, isJoining);
    }

    /// <summary>A destination that is unhealthy for a while is kept; one that left the cluster is another object when it comes back.</summary>
    private void Forget(IReadOnlyList<DestinationState> available)
    {
        if (_instances.Count > 2 * available.Count)
        {
            foreach (var gone in _instances.Keys.Except(available).ToList())
            {
                _instances.Remove(gone);
            }
        }
    }

    private static ServiceInstance RecordOf(DestinationState destination)
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
        private readonly long _until = balancer.RebuildAfter is { } after ? context.ReadClock() + context.ToTicks(after) : long.MaxValue;

        public IReadOnlyList<DestinationState> Available => available;

        public Balancer Balancer => balancer;

        public Dictionary<InstanceState, DestinationState> Destinations => destinations;

        /// <summary>Whether an ejection has ended since.</summary>
        public bool IsOver(InstanceContext clock) => clock.CoarseNow >= _until;
    }
}
