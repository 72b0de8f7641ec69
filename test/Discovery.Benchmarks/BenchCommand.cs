using Discovery.Benchmarks.Calls;
using Discovery.Benchmarks.Changes;
using Discovery.Benchmarks.Client;
using Discovery.Benchmarks.Outages;
using Discovery.Benchmarks.Scale;
using Discovery.Benchmarks.Simulation;

namespace Discovery.Benchmarks;

/// <summary><c>bench [--quick] [--json FILE] [LINE]</c>: what has a goal, beside what it is measured by. See docs/performance.md.</summary>
internal static class BenchCommand
{
    public const string Help = "measures what has a goal: [--quick] [--json FILE] [LINE]";

    private static readonly (string Name, Func<Report, bool, Task> RunAsync)[] Lines =
    [
        ("handler", HandlerBenchmark.RunAsync),
        ("pick", PickBenchmark.RunAsync),
        ("balancing", SimulateCommand.RunAsync),
        ("calls", CallsBenchmark.RunAsync),
        ("rebuilds", RebuildsCommand.RunAsync),
        ("client", EtcdClientBenchmark.RunAsync),
        ("changes", ChangesBenchmark.RunAsync),
        ("coldstart", ColdStartBenchmark.RunAsync),
        ("onechange", OneChangeBenchmark.RunAsync),
        ("memory", MemoryBenchmark.RunAsync),
        ("footprint", FootprintBenchmark.RunAsync),
        ("crash", CrashBenchmark.RunAsync),
        ("reregistration", ReregistrationBenchmark.RunAsync),
    ];

    /// <returns>0 if all goals were met, 1 if not, 2 for wrong arguments.</returns>
    public static int Run(string[] args)
    {
        var (isQuick, json, lines) = (false, (string?)null, Lines);
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--quick":
                    isQuick = true;
                    break;
                case "--json" when i + 1 < args.Length:
                    json = args[++i];
                    break;
                case "--json":
                    Console.Error.WriteLine("--json wants the name of a file.");
                    return 2;
                default:
                    lines = [.. Lines.Where(l => l.Name == args[i])];
                    if (lines.Length == 0)
                    {
                        Console.Error.WriteLine($"There is no line '{args[i]}'. There are: {string.Join(", ", Lines.Select(static l => l.Name))}.");
                        return 2;
                    }

                    break;
            }
        }

        return RunAsync(lines, isQuick, json).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAsync((string Name, Func<Report, bool, Task> RunAsync)[] lines, bool isQuick, string? json)
    {
        var report = new Report();
        foreach (var line in lines)
        {
            await line.RunAsync(report, isQuick);
        }

        if (json is not null)
        {
            report.WriteJson(json);
        }

        Console.WriteLine(report.AllMet ? "\nAll goals were met." : "\nNot all goals were met.");
        return report.AllMet ? 0 : 1;
    }
}
