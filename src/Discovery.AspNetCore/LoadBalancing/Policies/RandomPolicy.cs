namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>At random, in proportion to weight.</summary>
internal sealed class RandomPolicy : ILoadBalancingPolicy
{
    public string Name => "Random";

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints) => new Picker([.. endpoints]);

    /// <summary>
    /// Walker's alias method: each column is one endpoint's up to a threshold and another's above, so one random number decides whatever
    /// the weights.
    /// </summary>
    private sealed class Picker : EndpointPicker
    {
        private readonly ServiceEndpoint[] _endpoints;
        private readonly ServiceEndpoint[] _others;
        private readonly uint[] _thresholds;

        public Picker(ServiceEndpoint[] endpoints)
        {
            _endpoints = endpoints;
            _others = [.. endpoints];
            _thresholds = new uint[endpoints.Length];
            Array.Fill(_thresholds, uint.MaxValue);

            var mean = endpoints.Average(e => e.Weight);
            double[] shares = [.. endpoints.Select(e => e.Weight / mean)];
            var poor = new Stack<int>(Enumerable.Range(0, shares.Length).Where(i => shares[i] < 1));
            var rich = new Stack<int>(Enumerable.Range(0, shares.Length).Where(i => shares[i] >= 1));
            while (poor.Count > 0 && rich.Count > 0)
            {
                var (taker, giver) = (poor.Pop(), rich.Pop());
                _thresholds[taker] = (uint)(shares[taker] * uint.MaxValue);
                _others[taker] = endpoints[giver];
                shares[giver] -= 1 - shares[taker];
                (shares[giver] < 1 ? poor : rich).Push(giver);
            }
        }

        public override ServiceEndpoint Pick(in PickContext context)
        {
            var random = FastRandom.Next();
            var column = FastRandom.Scale((uint)random, _endpoints.Length);
            return (uint)(random >> 32) <= _thresholds[column] ? _endpoints[column] : _others[column];
        }
    }
}
