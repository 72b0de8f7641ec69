using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class LeaseInDoubtTests
{
    [Theory]
    [InlineData(600)]
    [InlineData(100 * 24 * 3600)]
    public async Task When_a_watch_learns_that_etcd_lost_its_data_the_lease_is_asked_for_at_once_and_nothing_is_put_on_it_before(long timeToLive)
    {
        // Stands still: what waited for a renewal to be due, or for a tick, would wait for ever.
        var clock = new FakeTimeProvider();
        var isLost = false;
        var loss = new TaskCompletionSource();
        var (grants, renewals, refused, streams) = (0, 0, 0, 0);
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { ID = Interlocked.Increment(ref grants), TTL = timeToLive });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(isLost ? 3 : 10) });
        server.On(EtcdMethods.LeaseKeepAlive, async http =>
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
            Interlocked.Increment(ref renewals);
            await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = isLost ? 0 : timeToLive });
        });
        server.On(EtcdMethods.Txn, async http =>
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(TxnRequest.Parser, http.RequestAborted);
            if (isLost && request!.Success[0].RequestPut.Lease == 1)
            {
                Interlocked.Increment(ref refused);
                await ScriptedServer.RefuseAsync(http, StatusCode.NotFound, "etcdserver: requested lease not found");
                return;
            }

            await ScriptedServer.AnswerAsync(http, new TxnResponse { Header = ScriptedWatch.Header(isLost ? 4 : 11), Succeeded = true });
        });
        server.On(EtcdMethods.Watch, async http =>
        {
            if (Interlocked.Increment(ref streams) > 1)
            {
                await ScriptedWatch.ServeAsync(http, _ => { }, revision: 3);
                return;
            }

            var watch = new ScriptedWatch(http);
            var create = await watch.ReadCreateAsync();
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(11), Created = true, WatchId = create.WatchId });
            await loss.Task;
            watch.End();
        });
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromMinutes(2) },
            timeProvider: clock);
        await using var keeper = client.KeepLease(TimeSpan.FromMinutes(10));
        keeper.Put("a", default);
        await Eventually.IsTrue(() => keeper.Status is { LeaseId: 1, KeysStored: 1 } && Volatile.Read(ref streams) == 1);

        isLost = true;
        loss.SetResult();

        await Eventually.IsTrue(() => keeper.Status is { LeaseId: 2, KeysStored: 1 });
        Assert.Equal((2, 1, 0), (grants, renewals, refused));
    }
}
