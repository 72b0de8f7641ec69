using System.Globalization;

namespace Discovery.Benchmarks.Simulation;

/// <summary>
/// What the default policy must reach. Each is checked with ejection and without, so that it is plain which of them does the work.
/// </summary>
internal static class Targets
{
    /// <summary>What two runs with other seeds differ by where nothing else differs.</summary>
    private const double Noise = 0.05;

    /// <summary>Whom they are about, and beside whom.</summary>
    public static IReadOnlyList<Contender> Contenders { get; } =
    [
        Contender.LeastInFlight, Contender.PeakEwma, Contender.DefaultAlone, Contender.ReportedAlone, Contender.Default, Contender.Reported,
    ];

    /// <summary>The targets whose scenarios were run.</summary>
    public static IEnumerable<Target> Of(IReadOnlyDictionary<(string Scenario, Contender Contender), SimulationResult> results)
    {
        foreach (var (contender, reporting) in new[] { (Contender.DefaultAlone, Contender.ReportedAlone), (Contender.Default, Contender.Reported) })
        {
            if (results.TryGetValue((Scenarios.Linkerd, contender), out var linkerd))
            {
                yield return Target.AtLeast(contender, Scenarios.Linkerd, "success, %", linkerd.Success * 100, 99.95);
            }

            if (results.TryGetValue((Scenarios.Sinkhole, contender), out var sinkhole)
                && results.TryGetValue((Scenarios.Sinkhole, Contender.LeastInFlight), out var leastInFlight))
            {
                var fewer = 1 - ((double)sinkhole.Failures / leastInFlight.Failures);
                yield return Target.AtLeast(contender, Scenarios.Sinkhole, "fewer failures than least in flight, %", fewer * 100, 90);
            }

            if (results.TryGetValue((Scenarios.Load, contender), out var load)
                && results.TryGetValue((Scenarios.Load, Contender.PeakEwma), out var peakEwma))
            {
                yield return Target.AtMost(contender, Scenarios.Load, "p99 by peak EWMA's", P99(load) / P99(peakEwma), 0.75);
            }

            foreach (var scenario in new[] { Scenarios.ManyClients, Scenarios.MostClients })
            {
                if (results.TryGetValue((scenario, contender), out var own)
                    && results.TryGetValue((scenario, reporting), out var reported)
                    && results.TryGetValue((scenario, Contender.PeakEwma), out var reference))
                {
                    yield return Target.AtMost(reporting, scenario, "p99 by that without reports", P99(reported) / P99(own), 0.8);
                    yield return Target.AtMost(reporting, scenario, "p99 by peak EWMA's", P99(reported) / P99(reference), 0.6);
                }
            }

            foreach (var scenario in Scenarios.All)
            {
                if (results.TryGetValue((scenario.Name, contender), out var own) && results.TryGetValue((scenario.Name, reporting), out var reported))
                {
                    // Reports make nothing worse, nowhere. A millisecond or a hundredth of all calls is none.
                    yield return Target.AtMost(reporting, scenario.Name, "p99 by that without reports", P99(reported) / Math.Max(P99(own), 20), 1 + Noise);
                    yield return Target.AtMost(
                        reporting, scenario.Name, "more failures than without reports, % of calls", (own.Success - reported.Success) * 100, 0.05);
                }
            }

            foreach (var scenario in Scenarios.All.Where(static s => s.IsFair))
            {
                foreach (var either in new[] { contender, reporting })
                {
                    if (results.TryGetValue((scenario.Name, either), out var equal))
                    {
                        yield return Target.AtLeast(either, scenario.Name, "least share, of a fair one", equal.LeastShare, 0.6);
                    }
                }
            }
        }
    }

    private static double P99(SimulationResult result) => result.Quantile(0.99);
}

/// <summary>One of them.</summary>
/// <param name="Contender">Who must reach it.</param>
/// <param name="Scenario">Where.</param>
/// <param name="What">What is looked at.</param>
/// <param name="Value">What it came to.</param>
/// <param name="Limit">What it may come to.</param>
/// <param name="IsLeast">Whether more is better.</param>
internal sealed record Target(Contender Contender, string Scenario, string What, double Value, double Limit, bool IsLeast)
{
    public bool IsMet => IsLeast ? Value >= Limit : Value <= Limit;

    public static Target AtLeast(Contender contender, string scenario, string what, double value, double limit) => new(contender, scenario, what, value, limit, IsLeast: true);

    public static Target AtMost(Contender contender, string scenario, string what, double value, double limit) => new(contender, scenario, what, value, limit, IsLeast: false);

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{(IsMet ? "met   " : "MISSED")} {Contender.Name} in {Scenario}: {What}: {Value:0.####}, {(IsLeast ? "at least" : "at most")} {Limit:0.####} wanted");
}
