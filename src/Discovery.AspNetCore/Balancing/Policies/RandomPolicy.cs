using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>At random, in proportion to weight.</summary>
internal sealed class RandomPolicy : IBalancingPolicy
{
    public string Name => BalancingPolicies.Random;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => new Picker([.. instances]);

    /// <summary>
    /// Walker's alias method: each column is one instance's up to a threshold and another's above, so one random number decides whatever
    /// the weights.
    /// </summary>
    private sealed class Picker : InstancePicker
    {
        private readonly InstanceState[] _instances;
        private readonly InstanceState[] _others;
        private readonly uint[] _thresholds;

        public Picker(InstanceState[] instances)
        {
            _instances = instances;
            _others = [.. instances];
            _thresholds = new uint[instances.Length];
            Array.Fill(_thresholds, uint.MaxValue);

            var mean = instances.Average(i => i.Weight);
            double[] shares = [.. instances.Select(i => i.Weight / mean)];
            var poor = new Stack<int>(Enumerable.Range(0, shares.Length).Where(i => shares[i] < 1));
            var rich = new Stack<int>(Enumerable.Range(0, shares.Length).Where(i => shares[i] >= 1));
            while (poor.Count > 0 && rich.Count > 0)
            {
                var (taker, giver) = (poor.Pop(), rich.Pop());
                _thresholds[taker] = (uint)(shares[taker] * uint.MaxValue);
                _others[taker] = instances[giver];
                shares[giver] -= 1 - shares[taker];
                (shares[giver] < 1 ? poor : rich).Push(giver);
            }
        }

        public override InstanceState Pick(in PickArguments arguments)
        {
            var random = FastRandom.Next();
            var column = FastRandom.Scale((uint)random, _instances.Length);
            return (uint)(random >> 32) <= _thresholds[column] ? _instances[column] : _others[column];
        }
    }
}
