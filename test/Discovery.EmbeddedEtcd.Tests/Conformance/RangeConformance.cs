using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using static Discovery.Etcd.Protocol.RangeRequest.Types;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class RangeConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task A_key_that_does_not_exist_is_an_empty_answer()
    {
        var response = await Client.GetAsync(Key("none"));

        Assert.Empty(response.Kvs);
        Assert.Equal(0, response.Count);
        Assert.False(response.More);
    }

    [Fact]
    public async Task A_range_is_half_open_and_in_the_order_of_its_keys()
    {
        await PutAsync("c", "a", "b", "d");

        var response = await Client.RangeAsync(new RangeRequest { Key = Key("a").Bytes(), RangeEnd = Key("d").Bytes() });

        Assert.Equal(["a", "b", "c"], Names(response));
        Assert.Equal(3, response.Count);
    }

    [Fact]
    public async Task The_end_zero_means_all_keys_from_here_on()
    {
        await PutAsync("a", "b");

        var response = await Client.RangeAsync(new RangeRequest { Key = Key("b").Bytes(), RangeEnd = ByteString.CopyFrom(0) });

        Assert.Contains(response.Kvs, kv => kv.Key == Key("b").Bytes());
        Assert.DoesNotContain(response.Kvs, kv => kv.Key == Key("a").Bytes());
    }

    [Fact]
    public async Task A_range_that_ends_before_it_starts_is_empty()
    {
        await PutAsync("a", "b");

        var response = await Client.RangeAsync(new RangeRequest { Key = Key("b").Bytes(), RangeEnd = Key("a").Bytes() });

        Assert.Equal(0, response.Count);
    }

    [Fact]
    public async Task A_limit_counts_all_and_says_that_there_is_more()
    {
        await PutAsync("a", "b", "c");
        var request = All();
        request.Limit = 2;

        var limited = await Client.RangeAsync(request);
        request.Limit = 3;
        var complete = await Client.RangeAsync(request);

        Assert.Equal(["a", "b"], Names(limited));
        Assert.Equal(3, limited.Count);
        Assert.True(limited.More);
        Assert.False(complete.More);
    }

    [Fact]
    public async Task Keys_only_leaves_out_values_and_nothing_else()
    {
        await PutAsync("a");
        var request = All();
        request.KeysOnly = true;

        var record = Assert.Single((await Client.RangeAsync(request)).Kvs);

        Assert.Empty(record.Value);
        Assert.Equal(1, record.Version);
        Assert.NotEqual(0, record.ModRevision);
    }

    [Fact]
    public async Task Count_only_returns_no_records()
    {
        await PutAsync("a", "b");
        var request = All();
        request.CountOnly = true;
        request.Limit = 1;

        var response = await Client.RangeAsync(request);

        Assert.Empty(response.Kvs);
        Assert.Equal(2, response.Count);
        Assert.False(response.More);
    }

    [Theory]
    [InlineData((int)SortTarget.Key, (int)SortOrder.Ascend, "a b c")]
    [InlineData((int)SortTarget.Key, (int)SortOrder.Descend, "c b a")]
    [InlineData((int)SortTarget.Value, (int)SortOrder.None, "b c a")]
    [InlineData((int)SortTarget.Value, (int)SortOrder.Descend, "a c b")]
    [InlineData((int)SortTarget.Create, (int)SortOrder.Ascend, "c a b")]
    [InlineData((int)SortTarget.Mod, (int)SortOrder.Descend, "c b a")]
    [InlineData((int)SortTarget.Version, (int)SortOrder.Descend, "c a b")]
    public async Task Sorts_by_every_target(int target, int order, string expected)
    {
        await Client.PutAsync(Key("c"), "2");
        await Client.PutAsync(Key("a"), "3");
        await Client.PutAsync(Key("b"), "1");
        await Client.PutAsync(Key("c"), "2");
        var request = All();
        request.SortTarget = (SortTarget)target;
        request.SortOrder = (SortOrder)order;

        Assert.Equal(expected, string.Join(' ', Names(await Client.RangeAsync(request))));
        request.Limit = 1;
        var first = await Client.RangeAsync(request);
        Assert.Single(first.Kvs);
        Assert.True(first.More);
    }

    [Fact]
    public async Task A_target_without_an_order_sorts_what_the_limit_and_one_more_left()
    {
        await Client.PutAsync(Key("a"), "3");
        await Client.PutAsync(Key("b"), "2");
        await Client.PutAsync(Key("c"), "1");
        var request = All();
        request.SortTarget = SortTarget.Value;
        request.Limit = 1;

        Assert.Equal(["b"], Names(await Client.RangeAsync(request)));
    }

    [Fact]
    public async Task Revision_bounds_filter_records_and_not_the_count()
    {
        var a = (await Client.PutAsync(Key("a"), "")).Header.Revision;
        var b = (await Client.PutAsync(Key("b"), "")).Header.Revision;
        var c = (await Client.PutAsync(Key("c"), "")).Header.Revision;
        var d = (await Client.PutAsync(Key("a"), "")).Header.Revision;

        Assert.Equal(["b", "c"], await SelectAsync(r => (r.MinModRevision, r.MaxModRevision) = (b, c)));
        Assert.Equal(["a", "b"], await SelectAsync(r => (r.MinCreateRevision, r.MaxCreateRevision) = (a, b)));
        Assert.Equal(["a"], await SelectAsync(r => (r.MinModRevision, r.MaxCreateRevision) = (d, a)));

        async Task<IEnumerable<string>> SelectAsync(Action<RangeRequest> bound)
        {
            var request = All();
            bound(request);
            var response = await Client.RangeAsync(request);
            Assert.Equal(3, response.Count);
            return Names(response);
        }
    }

    [Fact]
    public async Task The_past_can_be_read()
    {
        var first = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        var second = (await Client.PutAsync(Key("a"), "2")).Header.Revision;
        var deleted = (await Client.DeleteAsync(Key("a"))).Header.Revision;

        Assert.Equal("1", (await AtAsync(first)).Kvs[0].Value.ToStringUtf8());
        Assert.Equal("2", (await AtAsync(second)).Kvs[0].Value.ToStringUtf8());
        Assert.Empty((await AtAsync(deleted)).Kvs);
        Assert.Empty((await AtAsync(first - 1)).Kvs);
        Assert.True((await AtAsync(first)).Header.Revision >= deleted);
    }

    [Fact]
    public async Task The_future_and_the_compacted_past_are_errors()
    {
        await Client.PutAsync(Key("a"), "1");
        var current = (await Client.PutAsync(Key("a"), "2")).Header.Revision;
        await Client.CompactAsync(current);

        Assert.Equal((StatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision"), await RawClient.FailureOfAsync(AtAsync(current + 100)));
        Assert.Equal((StatusCode.OutOfRange, "etcdserver: mvcc: required revision has been compacted"), await RawClient.FailureOfAsync(AtAsync(current - 1)));
        Assert.Equal("2", (await AtAsync(current)).Kvs[0].Value.ToStringUtf8());
        Assert.Equal((StatusCode.OutOfRange, "etcdserver: mvcc: required revision has been compacted"), await RawClient.FailureOfAsync(Client.CompactAsync(current)));
        Assert.Equal((StatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision"), await RawClient.FailureOfAsync(Client.CompactAsync(current + 100)));
    }

    [Fact]
    public async Task A_missing_key_is_an_error()
        => Assert.Equal((StatusCode.InvalidArgument, "etcdserver: key is not provided"), await RawClient.FailureOfAsync(Client.RangeAsync(new RangeRequest())));

    private Task<RangeResponse> AtAsync(long revision) => Client.RangeAsync(new RangeRequest { Key = Key("a").Bytes(), Revision = revision });

    private async Task PutAsync(params string[] names)
    {
        foreach (var name in names)
        {
            await Client.PutAsync(Key(name), "value of " + name);
        }
    }
}

[Collection(EmbeddedTests.Name)]
public sealed class RangeOnEmbedded(EmbeddedServer server) : RangeConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class RangeOnEtcd(RealServer server) : RangeConformance(server);
