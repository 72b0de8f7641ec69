namespace Discovery.Etcd;

/// <summary>Pauses that grow and that many clients do not take in step.</summary>
internal static class Jitter
{
    // Gentler than doubling: what waits for an election is then back soon after it.
    private const double Growth = 1.6;

    /// <summary>A pause that grows with each failure.</summary>
    /// <param name="first">The pause after the first failure.</param>
    /// <param name="failures">How many failures there were, from 1.</param>
    /// <param name="longest">The longest pause.</param>
    public static TimeSpan Grow(TimeSpan first, int failures, TimeSpan longest)
    {
        var grown = first * Math.Pow(Growth, Math.Clamp(failures - 1, 0, 30));
        return grown < longest ? grown : longest;
    }

    /// <summary>A time between 75 % and 125 % of the given one.</summary>
    public static TimeSpan Spread(TimeSpan around) => around * (0.75 + (0.5 * Random.Shared.NextDouble()));
}
