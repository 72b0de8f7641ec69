using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class QuickLossTests
{
    [Fact]
    public async Task Leases_that_are_lost_as_soon_as_they_are_granted_are_not_asked_for_in_a_circle()
    {
        var clock = new FakeTimeProvider();
        var grants = 0;
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, http =>
        {
            Interlocked.Increment(ref grants);
            return ScriptedServer.AnswerAsync(http, new LeaseGrantResponse { ID = 7, TTL = 30 });
        });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, http => ScriptedServer.RefuseAsync(http, StatusCode.NotFound, "etcdserver: requested lease not found"));
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromMinutes(2) },
            timeProvider: clock);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(30));
        keeper.Put("a", default);

        // The first loss is made good at once, what follows waits for the clock, which stands still.
        await Eventually.IsTrue(() => Volatile.Read(ref grants) == 2 && keeper.Status.State == EtcdLeaseState.Lost);
        await Task.Delay(100);
        Assert.Equal(2, Volatile.Read(ref grants));

        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return Volatile.Read(ref grants) >= 4;
        });
    }
}
