namespace Discovery.Benchmarks.Changes;

/// <summary><c>changes</c>: how soon a change in etcd is known to whoever goes by it, beside a bare watch on the same keys.</summary>
internal static class ChangesBenchmark
{
    private const double MostOfRawWatch = 1.2;

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await new PutLatency(etcd.Endpoint).RunAsync(report, rounds: isQuick ? 30 : 200);
        await new ManyServices(etcd.Endpoint).RunAsync(report, puts: isQuick ? 500 : 3_000);
        await new RegistrationLatency(etcd.Endpoint).RunAsync(report, rounds: isQuick ? 8 : 50);
    }

    /// <summary>Pauses between changes are longer than what any of the observers collects changes for, and never in step with them.</summary>
    public static Task PauseAsync() => Task.Delay(Random.Shared.Next(300, 400));

    /// <param name="report">Where to.</param>
    /// <param name="what">What was measured.</param>
    /// <param name="ours">Ours, in milliseconds.</param>
    /// <param name="raw">The bare watch's, of the same changes.</param>
    public static void Add(Report report, string what, IReadOnlyList<double> ours, IReadOnlyList<double> raw)
    {
        report.AddRatioAtMost("changes", what, "ms", ours.Median(), raw.Median(), MostOfRawWatch);
        report.AddRatioAtMost("changes", "  p99", "ms", ours.Percentile(99), raw.Percentile(99), null);
    }
}
