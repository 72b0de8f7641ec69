using System.Diagnostics.Metrics;

namespace Discovery.Etcd.Diagnostics;

/// <summary>The buckets that OpenTelemetry's conventions advise for durations of calls in seconds.</summary>
internal static class Durations
{
    public static InstrumentAdvice<double> Advice { get; } = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    };
}
