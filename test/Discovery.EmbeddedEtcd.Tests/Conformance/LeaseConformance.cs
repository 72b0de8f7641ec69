using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class LeaseConformance(IServer server) : ConformanceTest(server)
{
    [Theory]
    [InlineData(600, 600)]
    [InlineData(1, 2)]
    [InlineData(0, 2)]
    [InlineData(-5, 2)]
    public async Task The_granted_ttl_has_a_minimum(long asked, long granted)
    {
        var lease = await Client.GrantAsync(asked);

        Assert.Equal(granted, lease.TTL);
        Assert.NotEqual(0, lease.ID);
        Assert.Empty(lease.Error);
    }

    [Fact]
    public async Task An_id_can_be_chosen_once()
    {
        var id = Random.Shared.NextInt64(1, long.MaxValue);

        Assert.Equal(id, (await Client.GrantAsync(600, id)).ID);
        Assert.Equal((StatusCode.FailedPrecondition, "etcdserver: lease already exists"), await RawClient.FailureOfAsync(Client.GrantAsync(600, id)));
        await Client.RevokeAsync(id);
        Assert.Equal(id, (await Client.GrantAsync(600, id)).ID);
    }

    [Fact]
    public async Task A_ttl_can_be_too_large()
    {
        await Client.GrantAsync(9_000_000_000);
        Assert.Equal((StatusCode.OutOfRange, "etcdserver: too large lease TTL"), await RawClient.FailureOfAsync(Client.GrantAsync(9_000_000_001)));
    }

    [Fact]
    public async Task Revoking_deletes_the_keys_in_one_revision()
    {
        var lease = (await Client.GrantAsync(600)).ID;
        await Client.PutAsync(Key("b"), "", lease);
        await Client.PutAsync(Key("a"), "", lease);
        var before = (await Client.PutAsync(Key("c"), "")).Header.Revision;
        using var watch = Client.Watch();
        await watch.CreateAsync(WatchAll());

        await Client.RevokeAsync(lease);

        var events = await watch.EventsAsync(2);
        Assert.Equal(["delete a", "delete b"], Describe(events));
        Assert.All(events, e => Assert.Equal(before + 1, e.Kv.ModRevision));
        Assert.Equal(["c"], Names(await Client.RangeAsync(All())));
        Assert.Equal((StatusCode.NotFound, "etcdserver: requested lease not found"), await RawClient.FailureOfAsync(Client.RevokeAsync(lease)));
    }

    [Fact]
    public async Task Revoking_a_lease_without_keys_is_no_revision()
    {
        var lease = (await Client.GrantAsync(600)).ID;
        var before = (await Client.PutAsync(Key("a"), "")).Header.Revision;

        await Client.RevokeAsync(lease);

        Assert.Equal(before, (await Client.GetAsync(Key("a"))).Header.Revision);
    }

    [Fact]
    public async Task A_key_belongs_to_the_lease_of_its_last_put()
    {
        var first = (await Client.GrantAsync(600)).ID;
        var second = (await Client.GrantAsync(600)).ID;
        await Client.PutAsync(Key("moved"), "", first);
        await Client.PutAsync(Key("moved"), "", second);
        await Client.PutAsync(Key("freed"), "", first);
        await Client.PutAsync(Key("freed"), "");
        await Client.PutAsync(Key("deleted"), "", first);
        await Client.DeleteAsync(Key("deleted"));

        Assert.Empty((await Client.TimeToLiveAsync(first, keys: true)).Keys);
        Assert.Equal(["moved"], (await Client.TimeToLiveAsync(second, keys: true)).Keys.Select(Name));
        await Client.RevokeAsync(first);
        Assert.Equal(["freed", "moved"], Names(await Client.RangeAsync(All())));
    }

    [Fact]
    public async Task Time_to_live_tells_what_is_left()
    {
        var lease = (await Client.GrantAsync(600)).ID;

        var response = await Client.TimeToLiveAsync(lease);
        var missing = await Client.TimeToLiveAsync(4711);

        Assert.InRange(response.TTL, 590, 600);
        Assert.Equal(600, response.GrantedTTL);
        Assert.Empty(response.Keys);
        Assert.Equal((4711, -1, 0), (missing.ID, missing.TTL, missing.GrantedTTL));
        Assert.NotEqual(0, missing.Header.Revision);
    }

    [Fact]
    public async Task Leases_are_listed_the_next_to_end_first()
    {
        var late = (await Client.GrantAsync(6000)).ID;
        var early = (await Client.GrantAsync(60)).ID;

        var ids = (await RawClient.AnswerAsync(Client.Leases.LeaseLeasesAsync(new LeaseLeasesRequest()))).Leases.Select(l => l.ID).ToList();

        Assert.True(ids.IndexOf(early) >= 0 && ids.IndexOf(early) < ids.IndexOf(late));
    }

    [Fact]
    public async Task Keep_alive_restores_the_ttl_and_a_missing_lease_has_none()
    {
        var lease = (await Client.GrantAsync(600)).ID;
        using var stream = Client.KeepAlive();

        for (var i = 0; i < 3; i++)
        {
            var response = await stream.RenewAsync(lease);
            Assert.Equal((lease, 600), (response.ID, response.TTL));
        }

        await Client.RevokeAsync(lease);
        Assert.Equal(0, (await stream.RenewAsync(lease)).TTL);
    }

    [Fact]
    public async Task A_lease_that_is_not_kept_alive_ends_with_its_keys()
    {
        var lease = (await Client.GrantAsync(3)).ID;
        var put = (await Client.PutAsync(Key("a"), "", lease)).Header.Revision;

        // From the past: on a slow machine the lease may be over before the watch is there.
        using var watch = Client.Watch();
        var request = WatchAll();
        request.StartRevision = put + 1;
        await watch.CreateAsync(request);

        Assert.Equal(["delete a"], Describe(await watch.EventsAsync(1)));
        Assert.Equal(-1, (await Client.TimeToLiveAsync(lease)).TTL);
    }
}

[Collection(EmbeddedTests.Name)]
public sealed class LeaseOnEmbedded(EmbeddedServer server) : LeaseConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class LeaseOnEtcd(RealServer server) : LeaseConformance(server);
