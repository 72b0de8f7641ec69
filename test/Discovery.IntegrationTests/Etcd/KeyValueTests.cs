using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

public sealed class KeyValueTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task A_key_is_put_read_and_deleted()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";

        Assert.Null(await client.GetAsync(key));
        var revision = await client.PutAsync(key, Bytes("1"));
        var record = await client.GetAsync(key);

        Assert.Equal((key, "1", revision, 1, 0), (record!.Key, Text(record.Value), record.ModRevision, record.Version, record.LeaseId));
        Assert.True(await client.DeleteAsync(key));
        Assert.False(await client.DeleteAsync(key));
        Assert.Null(await client.GetAsync(key));
    }

    [Fact]
    public async Task A_list_holds_exactly_the_keys_with_the_prefix()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        await client.PutAsync(prefix + "svc/1", Bytes("x"));
        await client.PutAsync(prefix + "svc-b/1", Bytes("x"));
        await client.PutAsync(prefix + "svc/2", Bytes("x"));

        var listing = await client.ListAsync(prefix + "svc/");

        Assert.Equal([prefix + "svc/1", prefix + "svc/2"], listing.Items.Select(i => i.Key));
        Assert.NotEqual(0UL, listing.ClusterId);
        Assert.True(listing.Revision >= listing.Items.Max(i => i.ModRevision));
    }

    [Fact]
    public async Task A_transaction_runs_one_side_or_the_other()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";
        var create = new EtcdTransaction
        {
            When = [EtcdCompare.ModRevision(key, 0)],
            Then = [EtcdOperation.Put(key, Bytes("mine"))],
            Else = [EtcdOperation.Get(key), EtcdOperation.Get(key + "-absent")],
        };

        var first = await client.ExecuteAsync(create);
        var second = await client.ExecuteAsync(create);

        Assert.True(first.Succeeded);
        Assert.Empty(first.Reads);
        Assert.False(second.Succeeded);
        Assert.Equal("mine", Text(second.Reads[0]!.Value));
        Assert.Null(second.Reads[1]);
    }

    [Fact]
    public async Task A_value_of_a_megabyte_comes_back_whole()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";
        var value = new byte[1_000_000];
        Random.Shared.NextBytes(value);

        await client.PutAsync(key, value);

        Assert.Equal(value, (await client.GetAsync(key))!.Value.ToArray());
    }

    [Fact]
    public async Task A_request_that_is_too_large_is_refused_with_the_remedy()
    {
        await using var client = node.Connect();

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync(NewPrefix(), new byte[3_000_000]));

        Assert.Contains("--max-request-bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_status_names_version_leader_and_endpoint()
    {
        await using var client = node.Connect();

        var status = await client.GetStatusAsync();

        Assert.Equal(new Uri(node.Etcd.Endpoint), status.Endpoint);
        Assert.NotEmpty(status.Version);
        Assert.Equal(status.MemberId, status.LeaderId);
    }

    [Fact]
    public async Task Many_prefixes_are_listed_at_one_revision_with_and_without_a_proxy()
    {
        await using var proxy = await GrpcProxy.StartAsync(node.Etcd.Endpoint);
        foreach (var endpoint in (string[])[node.Etcd.Endpoint, proxy.Endpoint])
        {
            await using var client = Connect(endpoint);
            var prefix = NewPrefix();
            var prefixes = Enumerable.Range(0, 100).Select(i => $"{prefix}{i}/").ToList();
            await Task.WhenAll(prefixes.Select((p, i) => client.PutAsync(p + "key", Bytes($"{i}"))));

            // More than its share of the transaction, and more than a page.
            for (var part = 0; part < 21; part++)
            {
                await client.ExecuteAsync(new EtcdTransaction
                {
                    Then = [.. Enumerable.Range(part * 100, 100).Select(n => EtcdOperation.Put($"{prefixes[50]}{n:0000}", Bytes("x")))],
                });
            }

            foreach (var consistency in Enum.GetValues<EtcdReadConsistency>())
            {
                var lists = await client.ListManyAsync([.. prefixes, prefix + "none/"], consistency);

                Assert.Equal(101, lists.Count);
                Assert.All(lists, l => Assert.Equal((lists[0].Revision, lists[0].ClusterId), (l.Revision, l.ClusterId)));
                Assert.Empty(lists[100].Items);
                Assert.Equal([.. Enumerable.Range(0, 2_100).Select(n => $"{prefixes[50]}{n:0000}"), prefixes[50] + "key"], lists[50].Items.Select(static i => i.Key));
                Assert.All(prefixes.Index().Where(static p => p.Index != 50), p => Assert.Equal($"{p.Index}", Text(Assert.Single(lists[p.Index].Items).Value)));
            }
        }
    }

    [Fact]
    public async Task More_prefixes_than_etcd_takes_in_a_transaction_are_refused_by_a_known_code()
    {
        await using var client = node.Connect();

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListManyAsync([.. Enumerable.Range(0, 129).Select(static i => $"p{i}/")]));

        Assert.Equal(Grpc.Core.StatusCode.InvalidArgument, error.StatusCode);
    }
}
