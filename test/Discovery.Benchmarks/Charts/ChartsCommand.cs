using Discovery.AspNetCore.Balancing;
using Discovery.Benchmarks.Scale;

namespace Discovery.Benchmarks.Charts;

/// <summary><c>charts DIRECTORY</c>: pictures of how costs grow with the size of a service.</summary>
internal static class ChartsCommand
{
    public const string Help = "draws how costs grow with the size of a service: DIRECTORY";

    private const string Size = "instances of the service";

    private static readonly int[] Sizes = [3, 10, 30, 100, 300, 1_000, 3_000, 10_000];

    public static int Run(string[] args)
    {
        if (args is not [var directory])
        {
            Console.Error.WriteLine("charts wants the name of a directory, e.g. docs/images.");
            return 2;
        }

        RunAsync(directory).GetAwaiter().GetResult();
        return 0;
    }

    private static async Task RunAsync(string directory)
    {
        Directory.CreateDirectory(directory);
        await PickBenchmark.WarmUpAsync(picks: 200_000);
        var names = new PolicyCatalog([]).Names.ToList();
        Write(directory, "cost-of-a-pick.svg", new LogChart("Choosing an instance", Size, "ns")
        {
            Lines = names.ConvertAll(n => new LogChart.Line(n, [.. Sizes.Select(s => ((double)s, PickBenchmark.Measure(s, n, picks: 200_000)))])),
        });
        foreach (var name in names)
        {
            // To have it compiled.
            OneChangeBenchmark.Measure(Sizes[0], name, changes: 1_000);
            OneChangeBenchmark.Measure(Sizes[^1], name, changes: 1_000);
        }

        Write(directory, "cost-of-a-change.svg", new LogChart("One instance changes: processor time to the next pick", Size, "µs")
        {
            Lines = names.ConvertAll(static n => new LogChart.Line(n, [.. Sizes.Select(s => ((double)s, OneChangeBenchmark.Measure(s, n, changes: 1_000).Microseconds))])),
        });
        var starts = await ColdStartBenchmark.MeasureAsync(Sizes);
        Write(directory, "cost-of-a-start.svg", new LogChart("From nothing to the first snapshot", Size, "ms")
        {
            Lines =
            [
                new LogChart.Line("ours", [.. Sizes.Select((s, i) => ((double)s, starts[i].Ours))]),
                new LogChart.Line("one bare range", [.. Sizes.Select((s, i) => ((double)s, starts[i].Range))]),
            ],
        });
    }

    private static void Write(string directory, string name, LogChart chart)
    {
        var path = Path.Combine(directory, name);
        File.WriteAllText(path, chart.ToSvg());
        Console.WriteLine(path);
    }
}
