using System.Globalization;

namespace Discovery.Benchmarks.Simulation;

/// <summary><c>simulate [--seeds N] [--only NAME]</c>: all scenarios with all contenders, and whether the default meets its targets.</summary>
internal static class SimulateCommand
{
    public static int Run(string[] args)
    {
        var seeds = 5;
        var only = "";
        var contenderPrefix = "";
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            switch (args[i])
            {
                case "--seeds":
                    seeds = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
                    break;
                case "--contender":
                    contenderPrefix = args[i + 1];
                    break;
                case "--only":
                    only = args[i + 1];
                    break;
            }
        }

        foreach (var scenario in Scenarios.All.Where(s => s.Name.StartsWith(only, StringComparison.Ordinal)))
        {
            Console.WriteLine();
            Console.WriteLine($"{scenario.Name}: {scenario.Description} (seeds 1 to {seeds})");
            Console.WriteLine($"  {"policy",-24} {"success %",10} {"failed",8} {"p50 ms",8} {"p99 ms",8} {"p999 ms",8} {"fairness",9}");
            foreach (var contender in Contender.All.Where(c => c.Name.StartsWith(contenderPrefix, StringComparison.Ordinal)))
            {
                var sum = new SimulationResult();
                foreach (var result in Enumerable.Range(1, seeds).AsParallel().Select(seed => SimulationRun.Execute(scenario, contender, seed)))
                {
                    sum.Add(result);
                }

                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"  {contender.Name,-24} {sum.Success * 100,10:F4} {sum.Failures,8} {sum.Quantile(0.5),8:F1} {sum.Quantile(0.99),8:F1} {sum.Quantile(0.999),8:F1} {sum.Fairness,9:F3}"));
            }
        }

        return 0;
    }
}
