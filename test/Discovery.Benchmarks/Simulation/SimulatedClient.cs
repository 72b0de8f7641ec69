using Discovery.AspNetCore;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks.Simulation;

/// <summary>A client process: its own instances, and its own balancer, built again when they say so.</summary>
internal sealed class SimulatedClient
{
    private readonly InstanceContext _context;
    private readonly IBalancingPolicy _policy;
    private readonly List<InstanceState> _instances = [];
    private readonly Dictionary<InstanceState, SimulatedServer> _servers = [];
    private readonly TimeProvider _clock;
    private Balancer? _balancer;
    private long _rebuildAt = long.MaxValue;

    public SimulatedClient(TimeProvider clock, Contender contender)
    {
        var options = new BalancingOptions();
        options.Ejection.Enabled = contender.WithEjection;
        _clock = clock;
        _policy = contender.CreatePolicy();
        _context = new InstanceContext(clock, options, NullLogger.Instance) { Changed = (_, _) => _balancer = null, Instances = _instances };
    }

    public void Add(SimulatedServer server, bool isJoining)
    {
        var number = _instances.Count;
        var record = new ServiceInstance { Key = $"sim/{number}", ServiceName = "sim", Host = "10.0.0.1", Port = number + 1 };
        var instance = new InstanceState(record, _context, isJoining);
        _instances.Add(instance);
        _servers.Add(instance, server);
        _balancer = null;
    }

    public (InstanceState Instance, SimulatedServer Server) Pick()
    {
        if (_balancer is null || _clock.GetTimestamp() >= _rebuildAt)
        {
            _balancer = BalancerBuilder.Build(_instances, _context, _policy);
            _rebuildAt = _balancer.RebuildAfter is { } after ? _clock.GetTimestamp() + _context.ToTicks(after) : long.MaxValue;
        }

        var instance = _balancer.Pick(default)!;
        return (instance, _servers[instance]);
    }

    /// <summary>A server reported its load with an answer.</summary>
    public void OnReported(InstanceState instance, int inFlight)
    {
        instance.OnLoadReport(inFlight);
        (_policy as ICallObserver)?.OnReported(instance, inFlight, _clock.GetTimestamp());
    }

    /// <summary>Tells a reference policy that keeps its own books of the end of a call.</summary>
    public void OnEnded(InstanceState instance, long startedAt)
        => (_policy as ICallObserver)?.OnEnded(instance, startedAt, _clock.GetTimestamp());
}
