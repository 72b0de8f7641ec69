using Discovery.Etcd.Protocol;
using Microsoft.AspNetCore.Http;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class OwnKeyWatcherTests
{
    [Fact]
    public async Task Where_calls_and_streams_end_at_different_clusters_the_own_keys_are_not_read_in_a_circle()
    {
        var clock = new FakeTimeProvider();
        var (watches, reads) = (0, 0);
        var ofCalls = new ResponseHeader { Revision = 10, ClusterId = 1 };
        var ofStreams = new ResponseHeader { Revision = 10, ClusterId = 2 };
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { Header = ofCalls, ID = 7, TTL = 3600 });
        server.On(EtcdMethods.Txn, () => new TxnResponse { Header = ofCalls, Succeeded = true });
        server.On(EtcdMethods.LeaseKeepAlive, async http =>
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
            await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 3600 });
        });
        server.On(EtcdMethods.Range, () =>
        {
            Interlocked.Increment(ref reads);
            return new RangeResponse { Header = ofCalls };
        });
        server.On(EtcdMethods.Watch, WatchAsync);
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(10), RequestTimeout = TimeSpan.FromMinutes(20) },
            timeProvider: clock);
        await using var keeper = client.KeepLease(TimeSpan.FromHours(1));
        keeper.Put("a", default);

        // The first loss is made good at once, what follows waits for the clock, which stands still.
        await Eventually.IsTrue(() => Volatile.Read(ref watches) >= 2);
        await Task.Delay(200);
        var standing = Volatile.Read(ref reads);
        Assert.InRange(standing, 1, 3);

        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return Volatile.Read(ref reads) > standing;
        });

        async Task WatchAsync(HttpContext http)
        {
            var watch = new ScriptedWatch(http);
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CreateRequest is not { } create)
                {
                    continue;
                }

                await watch.SendAsync(new WatchResponse { Header = ofStreams, Created = true, WatchId = create.WatchId });
                if (Interlocked.Increment(ref watches) == 1)
                {
                    await watch.SendAsync(new WatchResponse { Header = ofStreams, WatchId = create.WatchId, CompactRevision = 9, Canceled = true });
                }
            }
        }
    }

    [Fact]
    public async Task Where_the_watch_of_an_own_key_is_refused_its_deletion_by_somebody_is_seen_all_the_same()
    {
        var clock = new FakeTimeProvider();
        var puts = 0;
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, static () => new LeaseGrantResponse { Header = ScriptedWatch.Header(10), ID = 7, TTL = 3600 });
        server.On(EtcdMethods.Txn, () =>
        {
            var revision = 10 + Interlocked.Increment(ref puts);
            return new TxnResponse { Header = ScriptedWatch.Header(revision), Succeeded = true };
        });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(20) });
        server.On(EtcdMethods.Watch, static async http =>
        {
            var watch = new ScriptedWatch(http);
            while (true)
            {
                await watch.ReadCreateAsync();
                await watch.SendAsync(new WatchResponse
                {
                    Header = ScriptedWatch.Header(20), Created = true, Canceled = true, WatchId = -1, CancelReason = "etcdserver: too many watchers",
                });
            }
        });
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(10), RequestTimeout = TimeSpan.FromMinutes(20) },
            timeProvider: clock);
        await using var keeper = client.KeepLease(TimeSpan.FromHours(1));
        keeper.Put("a", default);

        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return Volatile.Read(ref puts) >= 2;
        });
    }
}
