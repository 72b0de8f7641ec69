using System.Globalization;
using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>etcd's own grpc-proxy in the middle: it gives watches ids of its own and knows only part of the protocol.</summary>
public sealed class GrpcProxyTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task Everything_works_through_etcds_proxy()
    {
        await using var proxy = await GrpcProxy.StartAsync(node.Etcd.Endpoint);
        await using var client = Connect(proxy.Endpoint);
        var prefix = NewPrefix();
        await using var a = client.Watch(prefix + "a/", 0);
        await using var b = client.Watch(prefix + "b/", 0);
        var (logA, logB) = (WatchLog.Follow(a), WatchLog.Follow(b));
        await Eventually.IsTrue(() => logA.Kinds.Contains(EtcdWatchUpdateKind.Opened) && logB.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(30));
        keeper.Put(prefix + "a/1", Bytes("x"));
        await keeper.FlushAsync();

        await client.PutAsync(prefix + "b/1", Bytes("x"));
        await Eventually.IsTrue(() => logB.Events.Count == 1 && logA.Events.Count == 1);
        Assert.Single((await client.ListAsync(prefix + "a/")).Items);
        await keeper.StopAsync();
        Assert.Empty((await client.ListAsync(prefix + "a/")).Items);
        await Eventually.IsTrue(() => logA.Events.Count == 2);
        Assert.False(proxy.HasExited, proxy.Output);
    }

    [Fact]
    public async Task A_silent_watch_gets_its_sign_of_life_with_and_without_proxy()
    {
        await using var proxy = await GrpcProxy.StartAsync(node.Etcd.Endpoint);
        foreach (var endpoint in (string[])[node.Etcd.Endpoint, proxy.Endpoint])
        {
            var clock = new FakeTimeProvider();
            await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [endpoint] }, timeProvider: clock);
            await using var watch = client.Watch(NewPrefix(), 0);
            var log = WatchLog.Follow(watch);
            await Eventually.IsTrue(() => log.Kinds.Count == 1);

            // The watchdog's clock runs into the silence, not past it: the answer is awaited in real time.
            for (var signs = 1; signs <= 3; signs++)
            {
                clock.Advance(TimeSpan.FromSeconds(10));
                await Eventually.IsTrue(() => log.Kinds.Count == 1 + signs);
            }

            Assert.Equal(
                [EtcdWatchUpdateKind.Opened, EtcdWatchUpdateKind.Progress, EtcdWatchUpdateKind.Progress, EtcdWatchUpdateKind.Progress], log.Kinds);
        }
    }

    [Fact]
    public async Task A_watch_that_met_a_compaction_goes_on_from_its_new_list()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var proxy = await GrpcProxy.StartAsync(etcd.Endpoint);
        await using var direct = Connect(etcd.Endpoint);
        await using var client = Connect(proxy.Endpoint);
        var prefix = NewPrefix();
        var listing = await client.ListAsync(prefix);
        await using var watch = client.Watch(prefix, listing.Revision + 1, listing.ClusterId);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        await proxy.KillAsync();
        await direct.PutAsync(prefix + "a", Bytes("1"));
        await Etcdctl.RunAsync(etcd.Endpoint, "compact", $"{await direct.PutAsync(prefix + "a", Bytes("2"))}");
        await proxy.RestartAsync();
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.ListAgain));
        var again = await client.ListAsync(prefix);
        watch.Restart(again.Revision + 1, again.ClusterId);
        await Eventually.IsTrue(() => log.Kinds.Count(static k => k == EtcdWatchUpdateKind.Opened) > 1 && log.Kinds[^1] == EtcdWatchUpdateKind.Opened);

        await direct.PutAsync(prefix + "a", Bytes("3"));
        await Eventually.IsTrue(() => log.Events.Count == 1, TimeSpan.FromSeconds(10));
        Assert.Single(log.Kinds, EtcdWatchUpdateKind.ListAgain);
    }

    [Fact]
    public async Task A_wiped_etcd_is_noticed_although_the_stream_to_the_proxy_stays_open()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var proxy = await GrpcProxy.StartAsync(etcd.Endpoint);
        var clock = new FakeTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [proxy.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(30), RequestTimeout = TimeSpan.FromHours(1) }, timeProvider: clock);
        var prefix = NewPrefix();
        for (var i = 0; i < 20; i++)
        {
            await client.PutAsync(prefix + "a", Bytes("x"));
        }

        var listing = await client.ListAsync(prefix);
        await using var watch = client.Watch(prefix, listing.Revision + 1, listing.ClusterId);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Count == 1);

        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();
        for (var signs = 1; signs <= 3; signs++)
        {
            clock.Advance(TimeSpan.FromSeconds(10));
            await Eventually.IsTrue(() => log.Kinds.Count(static k => k == EtcdWatchUpdateKind.Progress) >= signs);
        }

        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.ListAgain));
        Assert.DoesNotContain(EtcdWatchUpdateKind.Interrupted, log.Kinds);
        Assert.Contains("revision went back", log.Updates.Single(u => u.Kind == EtcdWatchUpdateKind.ListAgain).Error!.Message, StringComparison.Ordinal);
        var again = await client.ListAsync(prefix);
        watch.Restart(again.Revision + 1, again.ClusterId);
        await client.PutAsync(prefix + "b", Bytes("y"));
        await Eventually.IsTrue(() => log.Events is [.., var last] && last.Record.Key == prefix + "b");
    }
}

internal sealed class GrpcProxy : IAsyncDisposable
{
    private const int MaxAttempts = 10;

    private readonly string _etcd;
    private readonly string _address;
    private OwnedProcess _process;

    private GrpcProxy(OwnedProcess process, string etcd, string address) => (_process, _etcd, _address) = (process, etcd, address);

    public string Endpoint => "http://" + _address;

    public bool HasExited => _process.HasExited;

    public string Output => _process.Output;

    public static async Task<GrpcProxy> StartAsync(string etcd)
    {
        for (var attempt = 1; ; attempt++)
        {
            var address = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{FreePort.Next()}");
            var process = await LaunchAsync(etcd, address);
            try
            {
                await WaitUntilServingAsync(process);
                return new GrpcProxy(process, etcd, address);
            }
            catch (InvalidOperationException) when (process.FoundPortTaken && attempt < MaxAttempts)
            {
                await process.DisposeAsync();
            }
            catch
            {
                await process.DisposeAsync();
                throw;
            }
        }
    }

    public async Task KillAsync() => await _process.DisposeAsync();

    /// <summary>Starts it again after <see cref="KillAsync"/>, at the same address.</summary>
    public async Task RestartAsync()
    {
        _process = await LaunchAsync(_etcd, _address);
        await WaitUntilServingAsync(_process);
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    // etcd 3.5 calls the address that it advertises, and ends when nothing answers there.
    private static Task<OwnedProcess> LaunchAsync(string etcd, string address) => OwnedProcess.StartAsync(
        EtcdBinary.Etcd,
        ["grpc-proxy", "start", "--endpoints", new Uri(etcd).Authority, "--listen-addr", address, "--advertise-client-url", address]);

    private static Task WaitUntilServingAsync(OwnedProcess process) =>
        process.WaitForOutputAsync(output => output.Contains("started gRPC proxy", StringComparison.Ordinal));
}
