using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>A name that is moved to another cluster while the former one runs on, and connections to it live.</summary>
public sealed class ReplacedClusterTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Once_one_connection_ends_at_another_cluster_all_of_them_do(bool isStream)
    {
        await using var former = await EtcdProcess.StartAsync();
        await using var other = await EtcdProcess.StartAsync();
        await using var direct = Connect(other.Endpoint);
        await using var proxy = TcpProxy.Start(former.ClientPort);
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(log));

        // A call that a busy machine answers late would open a second connection.
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [proxy.Endpoint], AttemptTimeout = TimeSpan.FromSeconds(30), RequestTimeout = TimeSpan.FromMinutes(1) }, loggers);
        var prefix = NewPrefix();
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(60));
        keeper.Put(prefix + "kept", Bytes("mine"));
        await keeper.FlushAsync();
        var listing = await client.ListAsync(prefix);
        await using var watch = client.Watch(prefix, listing.Revision + 1, listing.ClusterId);
        var seen = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => seen.Kinds.Contains(EtcdWatchUpdateKind.Opened) && proxy.Open == 2);

        proxy.Target = other.ClientPort;
        proxy.Cut(isStream ? ^1 : 0);
        await Eventually.IsTrue(async () =>
        {
            // Whoever calls finds it out, if the watch does not.
            await client.GetAsync(prefix + "kept");
            return await direct.GetAsync(prefix + "kept") is not null;
        });

        await Eventually.IsTrue(() => seen.Kinds.Contains(EtcdWatchUpdateKind.ListAgain));
        var again = await client.ListAsync(prefix);
        Assert.Equal(Assert.Single(again.Items).LeaseId, keeper.Status.LeaseId);
        watch.Restart(again.Revision + 1, again.ClusterId);
        await direct.PutAsync(prefix + "a", Bytes("x"));
        await Eventually.IsTrue(() => seen.Events.Any(e => e.Record.Key == prefix + "a"));

        Assert.NotEqual(listing.ClusterId, again.ClusterId);
        Assert.Single(seen.Kinds, EtcdWatchUpdateKind.ListAgain);
        Assert.Single(log.At(LogLevel.Warning), static l => l.Contains("Another cluster answers", StringComparison.Ordinal));
        Assert.InRange(proxy.Accepted, 4, 8);
    }
}
