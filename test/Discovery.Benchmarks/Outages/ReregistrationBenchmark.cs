using System.Diagnostics;
using Discovery.Benchmarks.Client;
using Discovery.Benchmarks.Scale;
using Discovery.Etcd;

namespace Discovery.Benchmarks.Outages;

/// <summary>
/// <c>reregistration</c>: a thousand registrations, each with a lease of its own, are made again after etcd has come back without its data.
/// Ten share a client, for all run on this machine, where a thousand applications have their own.
/// </summary>
internal static class ReregistrationBenchmark
{
    private const int Registrations = 1_000;
    private const int Clients = 100;
    private const double MostSeconds = 5;
    private const double Window = 100;

    /// <summary>A quarter of them: spread over the half second and more that it takes.</summary>
    private const double MostAtOnce = 250;
    private const string Prefix = Records.Root + "reregistration/";

    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        var clients = Enumerable.Range(0, Clients).Select(_ => new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] })).ToList();
        foreach (var client in clients)
        {
            // One after the other: the start is not what is measured.
            var keepers = Enumerable.Range(0, Registrations / Clients).Select(_ => client.KeepLease(TimeToLive)).ToList();
            keepers.ForEach(static k => k.Put(Prefix + Guid.NewGuid().ToString("N"), "value"u8.ToArray()));
            await Task.WhenAll(keepers.Select(static k => k.FlushAsync())).WaitAsync(Limit);
        }

        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();
        var times = await WatchAsync(etcd.Endpoint);
        report.AddValue("reregistration", "1,000 registrations, until the last", "s", times[^1] / 1000, MostSeconds);
        report.AddValue("reregistration", "  until the half", "s", times.Median() / 1000, null);
        report.AddValue("reregistration", "  most within 100 ms", "", times.Max(from => times.Count(t => t >= from && t < from + Window)), MostAtOnce);
        using var http = new HttpClient();
        report.AddValue("reregistration", "  requests to etcd for each", "", (await EtcdCounters.ReadAsync(http, etcd)).Requests / Registrations, null);
        Report.Note($"How many came in each 100 ms: {string.Join(' ', Enumerable.Range(0, (int)(times[^1] / Window) + 1).Select(i => times.Count(t => (int)(t / Window) == i)))}");
        await Task.WhenAll(clients.Select(static c => c.DisposeAsync().AsTask()));
    }

    /// <returns>When each key was put, in milliseconds from now on, in order.</returns>
    private static async Task<List<double>> WatchAsync(string endpoint)
    {
        var started = Stopwatch.GetTimestamp();
        using var raw = new RawEtcd(endpoint);
        using var watch = await raw.WatchAsync(Prefix, startRevision: 1);
        using var limit = new CancellationTokenSource(Limit);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var times = new List<double>();
        while (times.Count < Registrations && await watch.ResponseStream.MoveNext(limit.Token))
        {
            foreach (var change in watch.ResponseStream.Current.Events)
            {
                if (seen.Add(change.Kv.Key.ToStringUtf8()))
                {
                    times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                }
            }
        }

        return times;
    }
}
