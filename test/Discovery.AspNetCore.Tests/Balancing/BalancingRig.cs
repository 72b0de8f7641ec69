using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Balancing;

/// <summary>Instances of one service under a fake clock and with repeatable random numbers, and the balancer over them.</summary>
internal sealed class BalancingRig
{
    private readonly InstanceContext _context;

    public BalancingRig(int count, Action<BalancingOptions>? configure = null, Func<int, ServiceInstance, ServiceInstance>? shape = null, ILogger? log = null)
    {
        FastRandom.Seed(1);
        var options = new BalancingOptions { ClientId = "client-0" };
        configure?.Invoke(options);
        _context = new InstanceContext(Clock, options, log ?? NullLogger.Instance) { Changed = (_, _) => Changes++, Instances = Instances };
        Instances.AddRange(Enumerable.Range(0, count).Select(i => Create(i, isJoining: false, shape)));
    }

    public FakeTimeProvider Clock { get; } = new();

    public List<InstanceState> Instances { get; } = [];

    /// <summary>How often an instance asked for the balancer to be built again.</summary>
    public int Changes { get; private set; }

    public BalancingOptions Options => _context.Options;

    public InstanceState this[int index] => Instances[index];

    public static IBalancingPolicy Policy(string name) => new PolicyCatalog([]).Get(name, "Policy");

    public InstanceState Join()
    {
        var instance = Create(Instances.Count, isJoining: true, shape: null);
        Instances.Add(instance);
        return instance;
    }

    public Balancer Build(string policy = "RoundRobin") => BalancerBuilder.Build(Instances, _context, Policy(policy));

    /// <summary>How many of the picks each instance gets.</summary>
    public int[] Count(Balancer balancer, int picks, Func<int, PickArguments>? context = null)
    {
        var counts = new int[Instances.Count];
        for (var i = 0; i < picks; i++)
        {
            counts[Instances.IndexOf(balancer.Pick(context?.Invoke(i) ?? default)!)]++;
        }

        return counts;
    }

    /// <summary>A call that ends after a time.</summary>
    public void Call(InstanceState instance, double milliseconds = 10, CallOutcome outcome = CallOutcome.Success)
    {
        var call = instance.OnCallStarted();
        Clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
        instance.OnCallEnded(outcome == CallOutcome.Success ? instance.OnHeaders(call) : call, outcome);
    }

    public void Fail(InstanceState instance, int times = 1, CallOutcome outcome = CallOutcome.Failure)
    {
        for (var i = 0; i < times; i++)
        {
            Call(instance, 1, outcome);
        }
    }

    private InstanceState Create(int i, bool isJoining, Func<int, ServiceInstance, ServiceInstance>? shape)
    {
        var instance = new ServiceInstance { Key = $"svc/{i:D4}", ServiceName = "svc", Host = "10.0.0.1", Port = 1000 + i };
        return new InstanceState(shape?.Invoke(i, instance) ?? instance, _context, isJoining);
    }
}
