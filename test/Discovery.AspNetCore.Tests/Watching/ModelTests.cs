using FsCheck;
using FsCheck.Fluent;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>
/// Random histories against a simple model. A failure is shrunk and printed with its seed, of which
/// <c>DISCOVERY_RANDOM_SEED</c> is another (see <see cref="RandomSeed"/>); the benchmarks' verb <c>model</c> runs a million steps.
/// </summary>
public sealed class ModelTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(300)]
    public void The_directory_comes_to_the_models_state_and_never_publishes_one_that_was_not_there(int holdSeconds)
    {
        const int Runs = 100;
        const int StepsPerRun = 50;
        var seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");
        var steps = Gen.Choose(0, int.MaxValue).ArrayOf(StepsPerRun);

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(Runs).WithName($"seed {seed}").WithReplay(new Replay(new Rnd((ulong)seed), size: null)),
            Prop.ForAll(Arb.From(steps, Shorter), numbers => RunAsync(TimeSpan.FromSeconds(holdSeconds), numbers).GetAwaiter().GetResult()));
    }

    private static async Task RunAsync(TimeSpan hold, int[] numbers)
    {
        await using var run = new ModelRun(hold);
        foreach (var number in numbers)
        {
            await run.StepAsync(number);
        }

        await run.SettleAsync();
    }

    private static IEnumerable<int[]> Shorter(int[] numbers)
    {
        for (var length = numbers.Length / 2; length > 0; length /= 2)
        {
            for (var start = 0; start + length <= numbers.Length; start += length)
            {
                yield return [.. numbers[..start], .. numbers[(start + length)..]];
            }
        }
    }
}
