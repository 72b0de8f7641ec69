using System.Globalization;

namespace Discovery.TestKit;

/// <summary>The seed of a test with random input. It is the same in each run, so that a run says what a change did and not which seed it drew.</summary>
public static class RandomSeed
{
    private const int Usual = 1;

    /// <summary>Reads the seed.</summary>
    /// <param name="variable">The environment variable that has it: a number, or <c>random</c> for another in each run. Without it, it is always the same.</param>
    /// <exception cref="FormatException">The variable has something else.</exception>
    public static int From(string variable) => Environment.GetEnvironmentVariable(variable) switch
    {
        null or "" => Usual,
        "random" => Random.Shared.Next(),
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seed) => seed,
        var text => throw new FormatException($"{variable} is '{text}'; it can be a number, or 'random'."),
    };
}
