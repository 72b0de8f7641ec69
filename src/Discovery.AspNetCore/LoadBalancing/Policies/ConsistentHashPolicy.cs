namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Calls with the same key go to the same endpoint, as long as it has no more than <see cref="BalancingOptions.HashBound"/> times the
/// average in flight; then to the next on the ring. Calls without a key go to the least loaded.
/// </summary>
internal sealed class ConsistentHashPolicy(ILoadBalancingPolicy withoutKey) : ILoadBalancingPolicy
{
    public string Name => "ConsistentHash";

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints)
        => endpoints.Count == 1 ? new SinglePicker(endpoints[0]) : new Picker([.. endpoints], withoutKey.CreatePicker(endpoints));

    private sealed class Picker(ServiceEndpoint[] endpoints, EndpointPicker withoutKey) : EndpointPicker
    {
        private readonly HashRing _ring = new(endpoints);
        private readonly InFlightBound _bound = new(endpoints);

        public override ServiceEndpoint Pick(in PickContext context)
        {
            if (context.HashKey is not { } key)
            {
                return withoutKey.Pick(context);
            }

            var perWeight = _bound.PerWeight();
            var place = _ring.PlaceOf(key);
            var first = _ring[place];
            var toSkip = context.Attempt;
            var previous = first;

            // Endpoints come again and again: a walk that finds no room for this long met nearly all, and takes the key's own.
            var longest = Math.Min(_ring.Count, 4 * endpoints.Length);
            for (var i = 0; i < longest; i++)
            {
                var endpoint = _ring[place + i];
                if (i > 0 && ReferenceEquals(endpoint, previous))
                {
                    continue;
                }

                previous = endpoint;
                if (endpoint.InFlight + 1 <= Math.Ceiling(perWeight * endpoint.Weight) && toSkip-- == 0)
                {
                    return endpoint;
                }
            }

            return first;
        }
    }
}
