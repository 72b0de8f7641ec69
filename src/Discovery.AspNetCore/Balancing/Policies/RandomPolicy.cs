using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>At random, in proportion to weight.</summary>
internal sealed class RandomPolicy : IBalancingPolicy
{
    public string Name => BalancingPolicies.Random;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
    {
        var list = InstanceList.Of(instances);
        return list.HasEqualWeights
            ? new EqualPicker(list)
            : new WeightedPicker(list, new AliasTable([.. list.Select(static i => i.Weight)]));
    }

    private sealed class EqualPicker(InstanceList instances) : InstancePicker
    {
        public override InstanceState Pick(in PickArguments arguments) => instances[FastRandom.Below(instances.Count)];
    }

    private sealed class WeightedPicker(InstanceList instances, AliasTable table) : InstancePicker
    {
        public override InstanceState Pick(in PickArguments arguments)
        {
            var random = FastRandom.Next();
            return instances[table.Resolve(FastRandom.Scale((uint)random, instances.Count), (uint)(random >> 32))];
        }
    }
}
