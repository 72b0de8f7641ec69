using Discovery.AspNetCore;
using Discovery.AspNetCore.Instances;

namespace Discovery.Benchmarks.Simulation;

/// <summary>The reference: of two random instances the one with fewer calls in flight, the first when equal.</summary>
internal sealed class LeastInFlightReference : IBalancingPolicy
{
    public string Name => "LeastInFlight";

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => new Picker([.. instances]);

    private sealed class Picker(InstanceState[] instances) : InstancePicker
    {
        public override InstanceState Pick(in PickArguments arguments)
        {
            var (a, b) = TwoOf(instances);
            return b.InFlight < a.InFlight ? b : a;
        }
    }

    public static (InstanceState First, InstanceState Second) TwoOf(InstanceState[] instances)
    {
        var first = FastRandom.Below(instances.Length);
        var second = FastRandom.Below(instances.Length - 1);
        return (instances[first], instances[second >= first ? second + 1 : second]);
    }
}
