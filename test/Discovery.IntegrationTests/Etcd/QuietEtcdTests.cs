using System.Globalization;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>
/// A cluster in which nothing happens but renewals: every watch waits for a revision that is yet to come, and etcd from 3.5 on answers no
/// progress request then.
/// </summary>
public sealed class QuietEtcdTests(ITestOutputHelper output)
{
    [Fact]
    public async Task In_ten_quiet_minutes_one_stream_is_opened_and_nothing_is_logged()
    {
        await using var etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { FastElections = true });
        var (log, clock) = (new LogRecorder(), new FakeTimeProvider());
        using var loggers = LoggerFactory.Create(b => b.SetMinimumLevel(LogLevel.Information).AddProvider(log));
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] }, loggers, clock);
        var listing = await client.ListAsync("quiet/");
        var logs = (string[])["quiet/a/", "quiet/b/"];
        var watches = logs.Select(p => WatchLog.Follow(client.Watch(p, listing.Revision + 1, listing.ClusterId))).ToList();
        await Eventually.IsTrue(() => watches.TrueForAll(w => w.Kinds.Contains(EtcdWatchUpdateKind.Opened)));
        var before = await MetricAsync(etcd, "grpc_server_msg_received_total", "\"Watch\"");

        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromMinutes(10); passed += TimeSpan.FromSeconds(9))
        {
            var signs = watches.ConvertAll(w => w.Updates.Count);
            clock.Advance(TimeSpan.FromSeconds(9));
            await Eventually.IsTrue(() => watches.Zip(signs).All(p => p.First.Updates.Count > p.Second));
        }

        var streams = await MetricAsync(etcd, "grpc_server_started_total", "\"Watch\"");
        var requests = await MetricAsync(etcd, "grpc_server_msg_received_total", "\"Watch\"") - before;
        output.WriteLine($"in ten quiet minutes, watch streams: {streams}, requests on them: {requests}, log lines: {log.Lines.Count}");
        Assert.Equal(1, streams);
        Assert.InRange(requests, 60, 70);
        Assert.Equal(2, await MetricAsync(etcd, "etcd_debugging_mvcc_watcher_total"));
        Assert.Empty(log.Lines);
        Assert.All(watches, w => Assert.Equal([EtcdWatchUpdateKind.Opened, EtcdWatchUpdateKind.Progress], w.Kinds.Distinct()));

        // What the quiet was for.
        await client.PutAsync("quiet/a/x", Bytes("1"));
        await Eventually.IsTrue(() => watches[0].Events.Count == 1);
    }

    [Fact]
    public async Task A_process_that_stands_still_is_found_within_fifteen_seconds_and_the_quiet_watch_goes_on_elsewhere()
    {
        await using var cluster = await EtcdCluster.StartAsync();
        await using var client = Connect(cluster.Endpoints);
        var listing = await client.ListAsync("quiet/");
        await using var watch = client.Watch("quiet/", listing.Revision + 1, listing.ClusterId);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        var (used, _) = await UsedAsync(cluster);

        var since = TimeProvider.System.GetTimestamp();
        await used.PauseAsync();
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Interrupted));
        Assert.InRange(TimeProvider.System.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(17));
        await Eventually.IsTrue(() => log.Kinds.Count(k => k == EtcdWatchUpdateKind.Opened) == 2);
        await used.ResumeAsync();
    }

    // The member that has the watch stream.
    private static async Task<(EtcdMember Member, int Streams)> UsedAsync(EtcdCluster cluster)
    {
        foreach (var member in cluster.Members)
        {
            if (await MetricAsync(member.Endpoint, "etcd_debugging_mvcc_watch_stream_total") is > 0 and var streams)
            {
                return (member, streams);
            }
        }

        throw new InvalidOperationException("No member has a watch stream.");
    }

    private static Task<int> MetricAsync(EtcdProcess etcd, string name, string label = "") => MetricAsync(etcd.Endpoint, name, label);

    private static async Task<int> MetricAsync(string endpoint, string name, string label = "")
    {
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(endpoint + "/metrics"));
        return metrics.Split('\n')
            .Where(l => l.StartsWith(name, StringComparison.Ordinal) && l.Contains(label, StringComparison.Ordinal))
            .Sum(l => int.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
