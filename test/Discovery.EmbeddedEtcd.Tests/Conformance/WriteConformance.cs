using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class WriteConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task Each_write_is_one_revision_and_counts_the_version()
    {
        var first = await Client.PutAsync(Key("a"), "1");
        var second = await Client.PutAsync(Key("a"), "2");

        var record = (await Client.GetAsync(Key("a"))).Kvs[0];

        Assert.Equal(first.Header.Revision + 1, second.Header.Revision);
        Assert.Equal(first.Header.Revision, record.CreateRevision);
        Assert.Equal(second.Header.Revision, record.ModRevision);
        Assert.Equal(2, record.Version);
    }

    [Fact]
    public async Task A_key_that_was_deleted_starts_anew()
    {
        await Client.PutAsync(Key("a"), "1");
        await Client.DeleteAsync(Key("a"));
        var again = await Client.PutAsync(Key("a"), "2");

        var record = (await Client.GetAsync(Key("a"))).Kvs[0];

        Assert.Equal(again.Header.Revision, record.CreateRevision);
        Assert.Equal(1, record.Version);
    }

    [Fact]
    public async Task Deleting_a_range_is_one_revision_and_tells_what_was_there()
    {
        await Client.PutAsync(Key("a"), "1");
        var before = (await Client.PutAsync(Key("b"), "2")).Header.Revision;
        var range = All();

        var response = await Client.DeleteAsync(new DeleteRangeRequest { Key = range.Key, RangeEnd = range.RangeEnd, PrevKv = true });

        Assert.Equal(2, response.Deleted);
        Assert.Equal(before + 1, response.Header.Revision);
        Assert.Equal(["1", "2"], response.PrevKvs.Select(kv => kv.Value.ToStringUtf8()));
    }

    [Fact]
    public async Task Deleting_nothing_is_no_revision()
    {
        var before = (await Client.PutAsync(Key("a"), "1")).Header.Revision;

        var response = await Client.DeleteAsync(Key("none"));

        Assert.Equal(0, response.Deleted);
        Assert.Equal(before, response.Header.Revision);
    }

    [Fact]
    public async Task Put_returns_the_previous_record_when_asked()
    {
        await Client.PutAsync(Key("a"), "1");

        var asked = await PutAsync(new PutRequest { Key = Key("a").Bytes(), Value = "2".Bytes(), PrevKv = true });
        var created = await PutAsync(new PutRequest { Key = Key("b").Bytes(), PrevKv = true });

        Assert.Equal("1", asked.PrevKv.Value.ToStringUtf8());
        Assert.Null(created.PrevKv);
    }

    [Fact]
    public async Task Put_keeps_value_or_lease_when_told_to_ignore_them()
    {
        var lease = (await Client.GrantAsync(600)).ID;
        await Client.PutAsync(Key("a"), "1", lease);

        await PutAsync(new PutRequest { Key = Key("a").Bytes(), Value = "2".Bytes(), IgnoreLease = true });
        var withLease = (await Client.GetAsync(Key("a"))).Kvs[0];
        await PutAsync(new PutRequest { Key = Key("a").Bytes(), IgnoreValue = true });
        var withValue = (await Client.GetAsync(Key("a"))).Kvs[0];

        Assert.Equal(("2", lease), (withLease.Value.ToStringUtf8(), withLease.Lease));
        Assert.Equal(("2", 0), (withValue.Value.ToStringUtf8(), withValue.Lease));
    }

    [Fact]
    public async Task Wrong_puts_are_refused_in_etcds_words()
    {
        await FailsAsync("etcdserver: key is not provided", new PutRequest());
        await FailsAsync("etcdserver: value is provided", new PutRequest { Key = Key("a").Bytes(), Value = "1".Bytes(), IgnoreValue = true });
        await FailsAsync("etcdserver: lease is provided", new PutRequest { Key = Key("a").Bytes(), Lease = 1, IgnoreLease = true });
        await FailsAsync("etcdserver: key not found", new PutRequest { Key = Key("a").Bytes(), IgnoreValue = true });
        await FailsAsync("etcdserver: key not found", new PutRequest { Key = Key("a").Bytes(), IgnoreLease = true });
        await FailsAsync("etcdserver: requested lease not found", new PutRequest { Key = Key("a").Bytes(), Lease = 4711 }, StatusCode.NotFound);
        Assert.Equal(
            (StatusCode.InvalidArgument, "etcdserver: key is not provided"),
            await RawClient.FailureOfAsync(Client.DeleteAsync(new DeleteRangeRequest())));
    }

    [Fact]
    public async Task A_value_may_be_large_but_not_too_large()
    {
        var large = new PutRequest { Key = Key("a").Bytes(), Value = ByteString.CopyFrom(new byte[1_500_000]) };
        await PutAsync(large);
        Assert.Equal(large.Value, (await Client.GetAsync(Key("a"))).Kvs[0].Value);

        await FailsAsync(
            "etcdserver: request is too large", new PutRequest { Key = Key("a").Bytes(), Value = ByteString.CopyFrom(new byte[1_600_000]) });
        var (code, detail) = await RawClient.FailureOfAsync(
            PutAsync(new PutRequest { Key = "a".Bytes(), Value = ByteString.CopyFrom(new byte[2_200_000]) }));
        Assert.Equal((StatusCode.ResourceExhausted, "grpc: received message larger than max (2200008 vs. 2097152)"), (code, detail));
    }

    private Task<PutResponse> PutAsync(PutRequest request) => Client.PutAsync(request);

    private async Task FailsAsync(string message, PutRequest request, StatusCode code = StatusCode.InvalidArgument)
        => Assert.Equal((code, message), await RawClient.FailureOfAsync(PutAsync(request)));
}

[Collection(EmbeddedTests.Name)]
public sealed class WriteOnEmbedded(EmbeddedServer server) : WriteConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class WriteOnEtcd(RealServer server) : WriteConformance(server);
