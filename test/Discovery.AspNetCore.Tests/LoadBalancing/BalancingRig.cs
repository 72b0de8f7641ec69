using Discovery.AspNetCore.LoadBalancing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.LoadBalancing;

/// <summary>Endpoints of one service under a fake clock and with repeatable random numbers, and the balancer over them.</summary>
internal sealed class BalancingRig
{
    private readonly BalancingContext _context;

    public BalancingRig(int count, Action<BalancingOptions>? configure = null, Func<int, ServiceInstance, ServiceInstance>? shape = null)
    {
        FastRandom.Seed(1);
        var options = new BalancingOptions { ClientId = "client-0" };
        configure?.Invoke(options);
        _context = new BalancingContext(Clock, options, NullLogger.Instance) { Changed = () => Changes++ };
        Endpoints.AddRange(Enumerable.Range(0, count).Select(i => Create(i, isJoining: false, shape)));
    }

    public FakeTimeProvider Clock { get; } = new();

    public List<ServiceEndpoint> Endpoints { get; } = [];

    /// <summary>How often an endpoint asked for the balancer to be built again.</summary>
    public int Changes { get; private set; }

    public BalancingOptions Options => _context.Options;

    public ServiceEndpoint this[int index] => Endpoints[index];

    public static ILoadBalancingPolicy Policy(string name) => new LoadBalancingPolicies([]).Get(name, "Policy");

    public ServiceEndpoint Join()
    {
        var endpoint = Create(Endpoints.Count, isJoining: true, shape: null);
        Endpoints.Add(endpoint);
        return endpoint;
    }

    public Balancer Build(string policy = "RoundRobin") => BalancerBuilder.Build(Endpoints, _context, Policy(policy));

    /// <summary>How many of the picks each endpoint gets.</summary>
    public int[] Count(Balancer balancer, int picks, Func<int, PickContext>? context = null)
    {
        var counts = new int[Endpoints.Count];
        for (var i = 0; i < picks; i++)
        {
            counts[Endpoints.IndexOf(balancer.Pick(context?.Invoke(i) ?? default)!)]++;
        }

        return counts;
    }

    /// <summary>A call that ends after a time.</summary>
    public void Call(ServiceEndpoint endpoint, double milliseconds = 10, CallOutcome outcome = CallOutcome.Success)
    {
        var call = endpoint.OnCallStarted();
        Clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
        endpoint.OnCallEnded(outcome == CallOutcome.Success ? endpoint.OnHeaders(call) : call, outcome);
    }

    public void Fail(ServiceEndpoint endpoint, int times = 1, CallOutcome outcome = CallOutcome.Failure)
    {
        for (var i = 0; i < times; i++)
        {
            Call(endpoint, 1, outcome);
        }
    }

    private ServiceEndpoint Create(int i, bool isJoining, Func<int, ServiceInstance, ServiceInstance>? shape)
    {
        var instance = new ServiceInstance { Key = $"svc/{i:D4}", ServiceName = "svc", Host = "10.0.0.1", Port = 1000 + i };
        return new ServiceEndpoint(shape?.Invoke(i, instance) ?? instance, _context, isJoining);
    }
}
