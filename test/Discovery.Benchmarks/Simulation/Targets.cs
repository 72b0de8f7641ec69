using System.Globalization;

namespace Discovery.Benchmarks.Simulation;

/// <summary>
/// What the default policy must reach. Each is checked with ejection and without, so that it is plain which of them does the work.
/// </summary>
internal static class Targets
{
    /// <summary>Prints each target whose scenarios were run.</summary>
    /// <returns>Whether all were met.</returns>
    public static bool Check(IReadOnlyDictionary<(string Scenario, Contender Contender), SimulationResult> results)
    {
        var allMet = true;
        foreach (var contender in new[] { Contender.DefaultAlone, Contender.Default })
        {
            if (results.TryGetValue((Scenarios.Linkerd, contender), out var linkerd))
            {
                Report(contender, $"{linkerd.Success * 100:F4} % success in {Scenarios.Linkerd}, at least 99.95 wanted", linkerd.Success >= 0.9995);
            }

            if (results.TryGetValue((Scenarios.Sinkhole, contender), out var sinkhole)
                && results.TryGetValue((Scenarios.Sinkhole, Contender.LeastInFlight), out var leastInFlight))
            {
                var fewer = 1 - ((double)sinkhole.Failures / leastInFlight.Failures);
                Report(contender, $"{fewer * 100:F2} % fewer failures than least in flight in {Scenarios.Sinkhole}, at least 90 wanted", fewer >= 0.9);
            }

            if (results.TryGetValue((Scenarios.Load, contender), out var load)
                && results.TryGetValue((Scenarios.Load, Contender.PeakEwma), out var peakEwma))
            {
                var ratio = load.Quantile(0.99) / peakEwma.Quantile(0.99);
                Report(contender, $"p99 {ratio:F3} times that of peak EWMA in {Scenarios.Load}, at most 0.75 wanted", ratio <= 0.75);
            }

            foreach (var scenario in Scenarios.All.Where(static s => s.IsFair))
            {
                if (results.TryGetValue((scenario.Name, contender), out var equal))
                {
                    Report(contender, $"{equal.LeastShare:F2} of a fair share in {scenario.Name}, at least 0.6 wanted", equal.LeastShare >= 0.6);
                }
            }
        }

        return allMet;

        void Report(Contender contender, FormattableString what, bool isMet)
        {
            allMet &= isMet;
            Console.WriteLine($"{(isMet ? "met   " : "MISSED")} {contender.Name}: {what.ToString(CultureInfo.InvariantCulture)}");
        }
    }
}
