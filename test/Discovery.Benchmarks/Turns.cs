namespace Discovery.Benchmarks;

/// <summary>
/// Has contenders take short turns, round after round, so that what else the machine does hits all alike.
/// </summary>
internal static class Turns
{
    /// <summary>Measures each contender once a round, after a few rounds that do not count.</summary>
    /// <param name="contenders">Who takes turns.</param>
    /// <param name="warmUps">How many rounds do not count: code is compiled and connections are made.</param>
    /// <param name="rounds">How many count.</param>
    /// <param name="measureAsync">Takes one turn and says what it measured.</param>
    /// <returns>For each contender the median of each number that was measured.</returns>
    public static async Task<double[][]> RunAsync<T>(IReadOnlyList<T> contenders, int warmUps, int rounds, Func<T, Task<double[]>> measureAsync)
    {
        var results = contenders.Select(static _ => new List<double[]>()).ToArray();
        for (var round = -warmUps; round < rounds; round++)
        {
            for (var i = 0; i < contenders.Count; i++)
            {
                // Who begins changes too.
                var turn = (i + round + warmUps) % contenders.Count;
                var measured = await measureAsync(contenders[turn]);
                if (round >= 0)
                {
                    results[turn].Add(measured);
                }
            }
        }

        return [.. results.Select(static r => r[0].Select((_, i) => r.Select(m => m[i]).Median()).ToArray())];
    }
}
