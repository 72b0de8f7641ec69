using System.Globalization;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Balancing.Steps;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Says what is wrong with balancing settings: each failure names the setting, its value and a valid one.</summary>
internal static class ValidateBalancing
{
    /// <summary>The failures; none if all is well. Whether the policy exists is known to <see cref="PolicyCatalog"/>.</summary>
    /// <param name="options">The settings.</param>
    /// <param name="section">The path of their configuration section, such as <c>Etcd:Discovery</c>.</param>
    public static IEnumerable<string> Validate(this BalancingOptions options, string section)
    {
        var ejection = options.Ejection;
        var spill = options.ZoneSpillOver;
        var shortest = TimeSpan.FromMilliseconds(100);
        string?[] failures =
        [
            string.IsNullOrWhiteSpace(options.Policy)
                ? $"{section}:Policy is empty; name a load balancing policy, e.g. {BalancingPolicies.LeastLoad}." : null,
            Range(section, "SlowStart", options.SlowStart, TimeSpan.Zero, TimeSpan.FromHours(1), "00:00:15"),
            Range(section, "SubsetSize", options.SubsetSize, 0, int.MaxValue, "20, or 0 to use all instances"),
            Range(section, "HashBound", options.HashBound, 1, 100, "1.25"),
            Range(section, "Ejection:ConsecutiveFailures", ejection.ConsecutiveFailures, 1, 1000, "5"),
            Range(section, "Ejection:ConsecutiveConnectFailures", ejection.ConsecutiveConnectFailures, 1, 1000, "2"),
            Range(section, "Ejection:ConsecutiveTimeouts", ejection.ConsecutiveTimeouts, 1, 1000, "5"),
            Range(section, "Ejection:FailureRatePercent", ejection.FailureRatePercent, 1, 100, "50"),
            Range(section, "Ejection:BaseDuration", ejection.BaseDuration, shortest, TimeSpan.FromHours(1), "00:00:05"),
            Range(section, "Ejection:MaxDuration", ejection.MaxDuration, ejection.BaseDuration, TimeSpan.FromDays(1), "00:05:00"),
            Range(section, "Ejection:MaxEjectedPercent", ejection.MaxEjectedPercent, 0, 100, "50"),
            Range(section, "Ejection:PanicThresholdPercent", ejection.PanicThresholdPercent, 0, 100, "30"),
            Range(section, "ZoneSpillOver:MinInstances", spill.MinInstances, 1, 1000, "1"),
            Range(section, "ZoneSpillOver:MinCapacityPercent", spill.MinCapacityPercent, 1, 100, "70"),
            spill.LatencyRatio == 0
                ? null : Range(section, "ZoneSpillOver:LatencyRatio", spill.LatencyRatio, 1, 1000, "3, or 0 to turn it off"),
        ];
        return failures.OfType<string>();
    }

    // Written so that NaN, which compares with nothing, is out of range.
    private static string? Range<T>(string section, string setting, T value, T least, T most, string example)
        where T : IComparable<T>, IFormattable
        => value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0 ? null : string.Create(
            CultureInfo.InvariantCulture, $"{section}:{setting} is '{value}'; it must be from {least} to {most}, e.g. {example}.");
}
