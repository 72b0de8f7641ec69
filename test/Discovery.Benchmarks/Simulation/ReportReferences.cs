using Discovery.AspNetCore;
using Discovery.AspNetCore.Instances;

namespace Discovery.Benchmarks.Simulation;

/// <summary>
/// References that go by what servers report with their answers: of five instances at random the best, as each of them has it. A report is aged:
/// the calls that this client has sent since are added, and after <see cref="ForgetSeconds"/> little of it is left.
/// </summary>
internal abstract class ReportReference : IBalancingPolicy, ICallObserver
{
    private const double ForgetSeconds = 1;
    private const int Candidates = 5;

    private readonly Dictionary<InstanceState, Reported> _reports = [];
    private long _now;

    public abstract string Name { get; }

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => new Picker(this, [.. instances]);

    public void OnEnded(InstanceState instance, long startedAt, long now) => _now = now;

    public void OnReported(InstanceState instance, int inFlight, long now) => _reports[instance] = new Reported(inFlight, instance.Calls, now);

    /// <summary>Which of two is better, by the requests in flight of each.</summary>
    protected abstract bool IsBetter((InstanceState Instance, double InFlight) one, (InstanceState Instance, double InFlight) other);

    /// <summary>Called before each choice, with all instances.</summary>
    protected virtual void OnPick(InstanceState[] instances)
    {
    }

    /// <summary>The larger of the client's own requests in flight and the reported ones.</summary>
    protected double InFlightOf(InstanceState instance)
    {
        if (!_reports.TryGetValue(instance, out var report))
        {
            return instance.InFlight;
        }

        var age = (_now - report.At) / (double)SimulatedClock.Second;
        return Math.Max(instance.InFlight, (report.InFlight + instance.Calls - report.Calls) * Math.Exp(-age / ForgetSeconds));
    }

    private sealed record Reported(int InFlight, long Calls, long At);

    private sealed class Picker(ReportReference policy, InstanceState[] instances) : InstancePicker
    {
        public override InstanceState Pick(in PickArguments arguments)
        {
            policy.OnPick(instances);
            var best = At(FastRandom.Below(instances.Length));
            for (var i = 1; i < Candidates; i++)
            {
                var other = At(FastRandom.Below(instances.Length));
                if (policy.IsBetter(other, best))
                {
                    best = other;
                }
            }

            return best.Instance;
        }

        private (InstanceState Instance, double InFlight) At(int index) => (instances[index], policy.InFlightOf(instances[index]));
    }
}

/// <summary>The fewest requests in flight, times the latency.</summary>
internal sealed class AgedReportsReference : ReportReference
{
    private static readonly double Least = TimeSpan.FromMilliseconds(5).TotalSeconds;

    public override string Name => "AgedReports";

    protected override bool IsBetter((InstanceState Instance, double InFlight) one, (InstanceState Instance, double InFlight) other) => Load(one) < Load(other);

    private static double Load((InstanceState Instance, double InFlight) of) => (of.InFlight + 1) * Math.Max(Least, of.Instance.Latency.TotalSeconds);
}

/// <summary>
/// The rule of Prequal (Wydrowski et al., NSDI 2024), without its probes: an instance is hot if its requests in flight are above the 84th
/// percentile of all. Of cold ones that with the lowest latency is taken, and if all are hot, the one with the fewest requests.
/// </summary>
internal sealed class HotColdReference : ReportReference
{
    private const double HotQuantile = 0.84;
    private const int PicksOfThreshold = 64;

    private double _hotAbove = double.MaxValue;
    private int _picks;

    public override string Name => "HotCold";

    protected override void OnPick(InstanceState[] instances)
    {
        if (_picks++ % PicksOfThreshold == 0)
        {
            _hotAbove = instances.Select(InFlightOf).Order().ElementAt((int)(HotQuantile * (instances.Length - 1)));
        }
    }

    protected override bool IsBetter((InstanceState Instance, double InFlight) one, (InstanceState Instance, double InFlight) other)
        => (one.InFlight > _hotAbove, other.InFlight > _hotAbove) switch
        {
            (true, true) => one.InFlight < other.InFlight,
            (false, false) => one.Instance.Latency < other.Instance.Latency,
            (var isHot, _) => !isHot,
        };
}
