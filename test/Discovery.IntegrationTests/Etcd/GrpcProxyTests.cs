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
        await using var proxy = await GrpcProxy.StartAsync(node.Etcd);
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
        await using var proxy = await GrpcProxy.StartAsync(node.Etcd);
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
}

internal sealed class GrpcProxy : IAsyncDisposable
{
    private const int Attempts = 5;

    private readonly OwnedProcess _process;

    private GrpcProxy(OwnedProcess process, string endpoint) => (_process, Endpoint) = (process, endpoint);

    public string Endpoint { get; }

    public bool HasExited => _process.HasExited;

    public string Output => _process.Output;

    public static async Task<GrpcProxy> StartAsync(EtcdProcess etcd)
    {
        for (var attempt = 1; ; attempt++)
        {
            var address = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{FreePort.Next()}");
            var process = await OwnedProcess.StartAsync(
                EtcdBinary.Etcd,
                [
                    "grpc-proxy", "start", "--endpoints", etcd.Endpoint["http://".Length..], "--listen-addr", address,
                    // The proxy of etcd 3.5 connects to it at its start, and ends where nothing answers.
                    "--advertise-client-url", address,
                ]);
            await Eventually.IsTrue(() => process.HasExited || process.Output.Contains("started gRPC proxy", StringComparison.Ordinal));
            if (!process.HasExited)
            {
                return new GrpcProxy(process, "http://" + address);
            }

            await process.DisposeAsync();
            var portWasTaken = process.Output.Contains("address already in use", StringComparison.Ordinal);
            if (!portWasTaken || attempt == Attempts)
            {
                throw new InvalidOperationException($"'etcd grpc-proxy start' ended by itself:\n{process.Output}");
            }
        }
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
