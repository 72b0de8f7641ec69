namespace Discovery.Benchmarks.Simulation;

/// <summary>
/// The reference: peak EWMA as Finagle and linkerd describe it. The estimate jumps to every higher latency and decays with 10 s; it is
/// multiplied by the calls in flight plus one, and an endpoint with calls but without an answer yet counts as very expensive.
/// A failure is an answer like any other.
/// </summary>
internal sealed class PeakEwmaReference : ILoadBalancingPolicy, ICallObserver
{
    private const double DecayTime = 10.0 * SimulatedClock.Second;
    private const double Unknown = 1e15;

    private readonly Dictionary<ServiceEndpoint, Estimate> _estimates = [];
    private long _now;

    public string Name => "PeakEwma";

    public EndpointPicker CreatePicker(IReadOnlyList<ServiceEndpoint> endpoints) => new Picker(this, [.. endpoints]);

    public void OnEnded(ServiceEndpoint endpoint, long startedAt, long now)
    {
        _now = now;
        Of(endpoint).Observe(now - startedAt, now);
    }

    private Estimate Of(ServiceEndpoint endpoint)
    {
        if (!_estimates.TryGetValue(endpoint, out var estimate))
        {
            _estimates.Add(endpoint, estimate = new Estimate());
        }

        return estimate;
    }

    private double Load(ServiceEndpoint endpoint)
    {
        var cost = Of(endpoint).Read(_now);
        return cost == 0 && endpoint.InFlight > 0 ? Unknown + endpoint.InFlight : cost * (endpoint.InFlight + 1);
    }

    private sealed class Picker(PeakEwmaReference policy, ServiceEndpoint[] endpoints) : EndpointPicker
    {
        public override ServiceEndpoint Pick(in PickContext context)
        {
            var (a, b) = LeastInFlightReference.TwoOf(endpoints);
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
