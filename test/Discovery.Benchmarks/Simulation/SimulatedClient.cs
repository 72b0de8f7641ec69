using Discovery.AspNetCore.LoadBalancing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Benchmarks.Simulation;

/// <summary>A client process: its own endpoints, and its own balancer, built again when they say so.</summary>
internal sealed class SimulatedClient
{
    private readonly BalancingContext _context;
    private readonly ILoadBalancingPolicy _policy;
    private readonly List<ServiceEndpoint> _endpoints = [];
    private readonly Dictionary<ServiceEndpoint, SimulatedServer> _servers = [];
    private readonly TimeProvider _clock;
    private Balancer? _balancer;
    private long _rebuildAt = long.MaxValue;

    public SimulatedClient(TimeProvider clock, Contender contender)
    {
        var options = new BalancingOptions();
        options.Ejection.Enabled = contender.WithEjection;
        _clock = clock;
        _policy = contender.CreatePolicy();
        _context = new BalancingContext(clock, options, NullLogger.Instance) { Changed = () => _balancer = null };
    }

    public void Add(SimulatedServer server, bool isJoining)
    {
        var number = _endpoints.Count;
        var instance = new ServiceInstance { Key = $"sim/{number}", ServiceName = "sim", Host = "10.0.0.1", Port = number + 1 };
        var endpoint = new ServiceEndpoint(instance, _context, isJoining);
        _endpoints.Add(endpoint);
        _servers.Add(endpoint, server);
        _balancer = null;
    }

    public (ServiceEndpoint Endpoint, SimulatedServer Server) Pick()
    {
        if (_balancer is null || _clock.GetTimestamp() >= _rebuildAt)
        {
            _balancer = BalancerBuilder.Build(_endpoints, _context, _policy);
            _rebuildAt = _balancer.RebuildAfter is { } after ? _clock.GetTimestamp() + _context.ToTicks(after) : long.MaxValue;
        }

        var endpoint = _balancer.Pick(default)!;
        return (endpoint, _servers[endpoint]);
    }

    /// <summary>Tells a reference policy that keeps its own books of the end of a call.</summary>
    public void OnEnded(ServiceEndpoint endpoint, long startedAt)
        => (_policy as ICallObserver)?.OnEnded(endpoint, startedAt, _clock.GetTimestamp());
}
