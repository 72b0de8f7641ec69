using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore.Tests.Watching;

namespace Discovery.Benchmarks;

/// <summary>Drives the directory through random histories against a model: the unit test's, for as long as one likes.</summary>
internal static class ModelCommand
{
    private const int StepsPerRun = 200;

    public static int Run(string[] args)
    {
        var steps = Read(args, "--steps", 1_000_000);
        var seed = Read(args, "--seed", Random.Shared.Next());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{steps} steps, in runs of {StepsPerRun}; --seed {seed} repeats them."));
        var clock = Stopwatch.StartNew();
        for (var made = 0; made < steps; made += StepsPerRun, seed++)
        {
            try
            {
                RunOnceAsync(seed).GetAwaiter().GetResult();
            }
            catch (InvalidOperationException e)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"FAILED: {e.Message}\nRepeat: model --seed {seed} --steps {StepsPerRun}"));
                return 1;
            }
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"All held, in {clock.Elapsed.TotalSeconds:0} s."));
        return 0;
    }

    private static async Task RunOnceAsync(int seed)
    {
        var random = new Random(seed);
        await using var run = new ModelRun(random.Next(2) == 0 ? TimeSpan.Zero : TimeSpan.FromMinutes(5));
        for (var step = 0; step < StepsPerRun; step++)
        {
            await run.StepAsync(random.Next());
        }

        await run.SettleAsync();
    }

    private static int Read(string[] args, string name, int otherwise)
    {
        var index = Array.IndexOf(args, name);
        return index >= 0 && index + 1 < args.Length ? int.Parse(args[index + 1], CultureInfo.InvariantCulture) : otherwise;
    }
}
