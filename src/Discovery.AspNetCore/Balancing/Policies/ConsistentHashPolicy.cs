namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// Calls with the same key go to the same instance, as long as it has no more than <see cref="BalancingOptions.HashBound"/> times the
/// average in flight; then to the next on the ring. Calls without a key go to the least loaded.
/// </summary>
internal sealed class ConsistentHashPolicy(IBalancingPolicy withoutKey) : IBalancingPolicy
{
    public string Name => BalancingPolicies.ConsistentHash;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        => instances.Count == 1 ? new SinglePicker(instances[0]) : new Picker([.. instances], withoutKey.CreatePicker(instances));

    private sealed class Picker(InstanceState[] instances, InstancePicker withoutKey) : InstancePicker
    {
        private readonly HashRing _ring = new(instances);
        private readonly InFlightBound _bound = new(instances);

        public override InstanceState Pick(in PickArguments arguments)
        {
            if (arguments.HashKey is not { } key)
            {
                return withoutKey.Pick(arguments);
            }

            var perWeight = _bound.PerWeight();
            var node = _ring.NodeOf(key);
            var first = _ring[node];
            var toSkip = arguments.Attempt;
            var previous = first;

            // An instance has many virtual nodes. A walk of this length without room has met nearly all, and falls back to the key's own.
            var longest = Math.Min(_ring.Count, 4 * instances.Length);
            for (var i = 0; i < longest; i++)
            {
                var instance = _ring[node + i];
                if (i > 0 && ReferenceEquals(instance, previous))
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
