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
        foreach (var (contender, reporting) in new[] { (Contender.DefaultAlone, Contender.ReportedAlone), (Contender.Default, Contender.Reported) })
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

            foreach (var scenario in new[] { Scenarios.ManyClients, Scenarios.MostClients })
            {
                if (results.TryGetValue((scenario, contender), out var own)
                    && results.TryGetValue((scenario, reporting), out var reported)
                    && results.TryGetValue((scenario, Contender.PeakEwma), out var reference))
                {
                    var toOwn = reported.Quantile(0.99) / own.Quantile(0.99);
                    Report(reporting, $"p99 {toOwn:F3} times that without reports in {scenario}, at most 0.8 wanted", toOwn <= 0.8);
                    var toReference = reported.Quantile(0.99) / reference.Quantile(0.99);
                    Report(reporting, $"p99 {toReference:F3} times that of peak EWMA in {scenario}, at most 0.6 wanted", toReference <= 0.6);
                }
            }

            foreach (var scenario in Scenarios.All.Where(static s => s.IsFair))
            {
                foreach (var either in new[] { contender, reporting })
                {
                    if (results.TryGetValue((scenario.Name, either), out var equal))
                    {
                        Report(either, $"{equal.LeastShare:F2} of a fair share in {scenario.Name}, at least 0.6 wanted", equal.LeastShare >= 0.6);
                    }
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
