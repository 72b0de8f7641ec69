using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// Calls with the same key go to the same instance, as long as it has no more than <see cref="BalancingOptions.HashBound"/> times the
/// average in flight; then to the next on the ring. Calls without a key go to the least loaded.
/// </summary>
internal sealed class ConsistentHashPolicy(IBalancingPolicy withoutKey) : IIncrementalPolicy
{
    private readonly ConditionalWeakTable<InstanceContext, RingCache> _rings = [];

    public string Name => BalancingPolicies.ConsistentHash;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        => instances.Count == 1 ? new SinglePicker(instances[0]) : CreatePicker(InstanceList.Of(instances), RingsOf(instances).Get(instances));

    public InstancePicker CreatePicker(InstanceList instances, InstancePicker before, IReadOnlyCollection<InstanceChange> changes)
        => instances.Count > 1 && before is Picker picker
            ? CreatePicker(instances, RingsOf(instances).Update(picker.Builder, picker.Ring, instances, changes))
            : CreatePicker(instances);

    private Picker CreatePicker(InstanceList instances, HashRingBuilder builder) => new(instances, withoutKey.CreatePicker(instances), builder);

    private RingCache RingsOf(IReadOnlyList<InstanceState> instances) => _rings.GetOrCreateValue(instances[0].Context);

    private sealed class Picker(InstanceList instances, InstancePicker withoutKey, HashRingBuilder builder) : InstancePicker
    {
        private readonly InFlightBound _bound = new(instances);
        private readonly HashRing _ring = builder.Ring;

        public HashRing Ring => _ring;

        public HashRingBuilder Builder => builder;

        internal override bool GoesByLoad(in PickArguments arguments) => arguments.HashKey is null && withoutKey.GoesByLoad(arguments);

        public override InstanceState Pick(in PickArguments arguments)
        {
            if (arguments.HashKey is not { } key)
            {
                return withoutKey.Pick(arguments);
            }

            var perWeight = _bound.PerWeight();
            var walk = _ring.From(key);
            var first = walk.Next();
            var instance = first;
            var toSkip = arguments.Attempt;

            // An instance has many virtual nodes. A walk of this length without room has met nearly all, and falls back to the key's own.
            var longest = Math.Min(_ring.Count, 4 * instances.Count);
            InstanceState? previous = null;
            for (var i = 0; i < longest; i++, instance = walk.Next())
            {
                if (ReferenceEquals(instance, previous))
                {
                    continue;
                }

                previous = instance;
                if (instance.InFlight + 1 <= Math.Ceiling(perWeight * instance.Weight) && toSkip-- == 0)
                {
                    return instance;
                }
            }

            return first;
        }
    }
}
