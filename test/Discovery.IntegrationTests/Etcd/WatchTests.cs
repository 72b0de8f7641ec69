using System.Globalization;
using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

public sealed class WatchTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task A_watch_delivers_puts_and_deletes_from_the_revision_it_starts_at()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        var first = await client.PutAsync(prefix + "a", Bytes("1"));
        await client.DeleteAsync(prefix + "a");

        await using var watch = client.Watch(prefix, first);
        var log = WatchLog.Follow(watch);
        await client.PutAsync(prefix + "b", Bytes("2"));

        await Eventually.IsTrue(() => log.Events.Count == 3);
        Assert.Equal([false, true, false], log.Events.Select(e => e.Deleted));
        Assert.Equal(["a", "a", "b"], log.Events.Select(e => e.Record.Key[prefix.Length..]));
    }

    [Fact]
    public async Task All_events_of_one_revision_come_together()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        await client.ExecuteAsync(new EtcdTransaction { Then = [.. Enumerable.Range(0, 100).Select(i => EtcdOperation.Put($"{prefix}{i}", Bytes("x")))] });

        await Eventually.IsTrue(() => log.Events.Count > 0);
        Assert.Equal(100, Assert.Single(log.Changes).Events.Count);
    }

    [Fact]
    public async Task A_thousand_watches_share_one_stream()
    {
        // A stream that a slow machine opens late would be opened twice.
        await using var client = Connect(node.Etcd.Endpoint, o => o.AttemptTimeout = TimeSpan.FromSeconds(30));
        var prefix = NewPrefix();
        var streams = await CountStreamsAsync();
        var logs = Enumerable.Range(0, 1000).Select(i => WatchLog.Follow(client.Watch($"{prefix}{i}/", 0))).ToList();
        await Eventually.IsTrue(() => logs.TrueForAll(l => l.Kinds.Contains(EtcdWatchUpdateKind.Opened)));
        Assert.Equal(streams + 1, await CountStreamsAsync());

        for (var i = 0; i < logs.Count; i++)
        {
            await client.PutAsync($"{prefix}{i}/x", Bytes("x"));
        }

        await Eventually.IsTrue(() => logs.TrueForAll(l => l.Events.Count == 1));
        Assert.Equal(logs.Select((_, i) => $"{prefix}{i}/x"), logs.Select(l => l.Events[0].Record.Key));
    }

    // How many watch streams etcd was asked for so far, by its own count.
    private async Task<int> CountStreamsAsync()
    {
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(node.Etcd.Endpoint + "/metrics"));
        return metrics.Split('\n')
            .Where(l => l.StartsWith("grpc_server_started_total", StringComparison.Ordinal) && l.Contains("grpc_method=\"Watch\"", StringComparison.Ordinal))
            .Sum(l => int.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
