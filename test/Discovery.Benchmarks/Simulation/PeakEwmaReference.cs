using Discovery.AspNetCore;

namespace Discovery.Benchmarks.Simulation;

/// <summary>
/// The reference: peak EWMA as Finagle and linkerd describe it. The estimate jumps to every higher latency and decays with 10 s; it is
/// multiplied by the calls in flight plus one, and an instance with calls but without an answer yet counts as very expensive.
/// A failure is an answer like any other.
/// </summary>
internal sealed class PeakEwmaReference : IBalancingPolicy, ICallObserver
{
    private const double DecayTime = 10.0 * SimulatedClock.Second;
    private const double Unknown = 1e15;

    private readonly Dictionary<InstanceState, Estimate> _estimates = [];
    private long _now;

    public string Name => "PeakEwma";

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => new Picker(this, [.. instances]);

    public void OnEnded(InstanceState instance, long startedAt, long now)
    {
        _now = now;
        Of(instance).Observe(now - startedAt, now);
    }

    private Estimate Of(InstanceState instance)
    {
        if (!_estimates.TryGetValue(instance, out var estimate))
        {
            _estimates.Add(instance, estimate = new Estimate());
        }

        return estimate;
    }

    private double Load(InstanceState instance)
    {
        var cost = Of(instance).Read(_now);
        return cost == 0 && instance.InFlight > 0 ? Unknown + instance.InFlight : cost * (instance.InFlight + 1);
    }

    private sealed class Picker(PeakEwmaReference policy, InstanceState[] instances) : InstancePicker
    {
        public override InstanceState Pick(in PickArguments arguments)
        {
            var (a, b) = LeastInFlightReference.TwoOf(instances);
            return policy.Load(b) < policy.Load(a) ? b : a;
        }
    }

    private sealed class Estimate
    {
        private double _cost;
        private long _at;

        public void Observe(double latency, long now)
        {
            var weight = Math.Exp(-(now - _at) / DecayTime);
            _cost = latency > _cost ? latency : (_cost * weight) + (latency * (1 - weight));
            _at = now;
        }

        /// <summary>Finagle reads by observing a latency of 0.</summary>
        public double Read(long now)
        {
            Observe(0, Math.Max(now, _at));
            return _cost;
        }
    }
}
