using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

public sealed class LeaseTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task A_lease_is_granted_renewed_and_revoked_with_its_keys()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";

        var lease = await client.GrantLeaseAsync(TimeSpan.FromSeconds(10));
        await client.PutAsync(key, Bytes("x"), lease.Id);

        Assert.Equal(lease, await client.RenewLeaseAsync(lease.Id));
        await client.RevokeLeaseAsync(lease.Id);
        Assert.Null(await client.GetAsync(key));
        Assert.Null(await client.RenewLeaseAsync(lease.Id));
        await client.RevokeLeaseAsync(lease.Id);
    }

    [Fact]
    public async Task A_keeper_holds_its_keys_longer_than_the_time_to_live_and_takes_them_away_when_stopped()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(4));
        keeper.Put(prefix + "a", Bytes("1"));
        keeper.Put(prefix + "b", Bytes("2"));
        await keeper.FlushAsync();

        Assert.Equal((EtcdLeaseState.Held, 2, 2), (keeper.Status.State, keeper.Status.KeysStored, keeper.Status.KeysDesired));
        var leaseId = keeper.Status.LeaseId;
        var since = TimeProvider.System.GetTimestamp();
        await Eventually.IsTrue(() => TimeProvider.System.GetElapsedTime(since) > TimeSpan.FromSeconds(6));
        Assert.Equal(leaseId, keeper.Status.LeaseId);
        Assert.Equal([leaseId, leaseId], (await client.ListAsync(prefix)).Items.Select(i => i.LeaseId));

        keeper.Remove(prefix + "b");
        await keeper.FlushAsync();
        Assert.Single((await client.ListAsync(prefix)).Items);
        await keeper.StopAsync();
        Assert.Empty((await client.ListAsync(prefix)).Items);
        Assert.Null(await client.RenewLeaseAsync(leaseId));
        await Eventually.IsTrue(() => log.Events.Count == 4);
    }
}
