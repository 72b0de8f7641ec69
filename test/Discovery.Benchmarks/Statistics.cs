namespace Discovery.Benchmarks;

/// <summary>What is said of many measurements.</summary>
internal static class Statistics
{
    /// <summary>The middle value; a disturbance of the machine does not move it.</summary>
    public static double Median(this IEnumerable<double> values) => values.Percentile(50);

    /// <summary>The value that so many percent do not exceed.</summary>
    public static double Percentile(this IEnumerable<double> values, int percent)
    {
        var sorted = values.Order().ToList();
        return sorted[Math.Min(sorted.Count - 1, sorted.Count * percent / 100)];
    }
}
