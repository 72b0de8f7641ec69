using System.Globalization;

namespace Discovery.TestKit;

/// <summary>How much a long test does: little in every run, and as much as is promised where the environment says so.</summary>
public static class Extent
{
    /// <summary>A number from an environment variable.</summary>
    /// <param name="variable">The variable, as <c>build/test.sh --help</c> lists it.</param>
    /// <param name="usual">The number without it.</param>
    public static int Of(string variable, int usual)
        => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) && number > 0 ? number : usual;
}
