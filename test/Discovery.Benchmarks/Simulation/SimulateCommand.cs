using System.Globalization;

namespace Discovery.Benchmarks.Simulation;

/// <summary>All scenarios with all contenders, and whether the default policy meets its targets.</summary>
internal static class SimulateCommand
{
    public const string Help =
        "drives the load balancing policies through simulated servers: [--seeds N] [--only SCENARIO-PREFIX] [--policy PREFIX]";

    public static int Run(string[] args)
    {
        if (!TryParse(args, out var seeds, out var only, out var policy))
        {
            Console.Error.WriteLine($"simulate {Help}");
            return 2;
        }

        var results = new Dictionary<(string, Contender), SimulationResult>();
        foreach (var scenario in Scenarios.All.Where(s => s.Name.StartsWith(only, StringComparison.Ordinal)))
        {
            Console.WriteLine();
            Console.WriteLine($"{scenario.Name}: {scenario.Description} (seeds 1 to {seeds})");
            Console.WriteLine($"  {"policy",-24} {"success %",10} {"failed",8} {"p50 ms",8} {"p99 ms",8} {"p999 ms",8} {"fairness",9} {"least",6}");
            foreach (var contender in Contender.All.Where(c => c.Name.StartsWith(policy, StringComparison.Ordinal)))
            {
                var sum = RunSeeds(scenario, contender, seeds);
                results.Add((scenario.Name, contender), sum);
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"  {contender.Name,-24} {sum.Success * 100,10:F4} {sum.Failures,8} "
                    + $"{sum.Quantile(0.5),8:F1} {sum.Quantile(0.99),8:F1} {sum.Quantile(0.999),8:F1} {sum.Fairness,9:F3} {sum.LeastShare,6:F2}"));
            }
        }

        Console.WriteLine();
        var targets = Targets.Of(results).ToList();
        targets.ForEach(Console.WriteLine);
        return targets.TrueForAll(static t => t.IsMet) ? 0 : 1;
    }

    /// <summary>Adds the targets to a report: those that are looked at by themselves, and of the others how many were met and the nearest.</summary>
    public static Task RunAsync(Report report, bool isQuick)
    {
        var results = new Dictionary<(string, Contender), SimulationResult>();
        foreach (var scenario in Scenarios.All)
        {
            foreach (var contender in Targets.Contenders)
            {
                results.Add((scenario.Name, contender), RunSeeds(scenario, contender, seeds: isQuick ? 1 : 5));
            }
        }

        foreach (var group in Targets.Of(results).GroupBy(static t => (t.Contender.Name, t.What)))
        {
            var nearest = group.MaxBy(static t => t.IsLeast ? t.Limit / t.Value : t.Value / t.Limit)!;
            var where = group.Count() == 1 ? nearest.Scenario : string.Create(CultureInfo.InvariantCulture, $"{group.Count()} scenarios, {nearest.Scenario}");
            report.AddTarget("balancing", $"{group.Key.Name}: {group.Key.What} ({where})", nearest.Value, nearest.Limit, nearest.IsLeast);
        }

        return Task.CompletedTask;
    }

    private static SimulationResult RunSeeds(Scenario scenario, Contender contender, int seeds)
    {
        var sum = new SimulationResult();
        var runs = Enumerable.Range(1, seeds).AsParallel().AsOrdered().Select(seed => SimulationRun.Execute(scenario, contender, seed));
        foreach (var result in runs)
        {
            sum.Add(result);
        }

        return sum;
    }

    private static bool TryParse(string[] args, out int seeds, out string only, out string policy)
    {
        (seeds, only, policy) = (5, "", "");
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--seeds" when int.TryParse(value, CultureInfo.InvariantCulture, out seeds) && seeds > 0:
                    break;
                case "--only" when value.Length > 0:
                    only = value;
                    break;
                case "--policy" when value.Length > 0:
                    policy = value;
                    break;
                default:
                    return false;
            }
        }

        return true;
    }
}
