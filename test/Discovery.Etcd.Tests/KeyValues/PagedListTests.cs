using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.Etcd.Tests.KeyValues;

public sealed class PagedListTests
{
    [Fact]
    public async Task A_list_over_two_clusters_behind_one_address_pauses_and_ends()
    {
        await using var server = await ScriptedServer.StartAsync();
        var requests = 0;
        server.On(EtcdMethods.Range, () => new RangeResponse
        {
            Header = new ResponseHeader { Revision = 7, ClusterId = (ulong)(1 + (Interlocked.Increment(ref requests) % 2)) },
            Kvs = { new KeyValue { Key = ByteString.CopyFromUtf8("a") } },
            More = true,
        });
        var clock = new ObservedTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromHours(1) }, timeProvider: clock);
        var list = client.ListAsync("a");

        // It starts again after a pause, which only the clock ends.
        await Eventually.IsTrue(() => clock.ArmedTimers > 0 && requests >= 2);
        Assert.False(list.IsCompleted);
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return list.IsCompleted;
        });

        var error = await Assert.ThrowsAsync<EtcdException>(() => list);
        Assert.Equal(StatusCode.FailedPrecondition, error.StatusCode);
        Assert.Contains("several clusters answer behind one of the addresses in Etcd:Endpoints", error.Message, StringComparison.Ordinal);
        Assert.Equal(10, requests);
    }

    [Fact]
    public async Task The_next_page_is_under_way_while_one_is_handed_over()
    {
        await using var server = await ScriptedServer.StartAsync();
        var requests = 0;
        server.On(EtcdMethods.Range, () => Page($"k{Interlocked.Increment(ref requests)}", more: requests < 3));
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] });
        var seen = new List<EtcdKeyValue>();

        var listing = await client.ListInPagesAsync("k", page =>
        {
            seen.AddRange(page);

            // Where the page is waited for first, this never comes.
            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref requests) == seen.Count + 1, TimeSpan.FromSeconds(10)));
        });

        Assert.Equal(["k1", "k2", "k3"], listing.Items.Select(static i => i.Key));
        Assert.Equal(2, seen.Count);
        Assert.Same(listing.Items[0], seen[0]);
        Assert.Same(listing.Items[1], seen[1]);
    }

    [Fact]
    public async Task Many_lists_are_one_transaction_and_those_with_more_keys_go_on_at_its_revision()
    {
        await using var server = await ScriptedServer.StartAsync();
        var (transaction, ranges) = (new TxnRequest(), new List<RangeRequest>());
        server.On(EtcdMethods.Txn, async http =>
        {
            transaction = await ReadAsync(http, TxnRequest.Parser);
            await ScriptedServer.AnswerAsync(http, new TxnResponse
            {
                Header = new ResponseHeader { Revision = 7, ClusterId = 1 },
                Succeeded = true,
                Responses = { Of(Page("a1", more: false)), Of(Page("b1", more: true)), Of(new RangeResponse()) },
            });
        });
        server.On(EtcdMethods.Range, async http =>
        {
            ranges.Add(await ReadAsync(http, RangeRequest.Parser));
            await ScriptedServer.AnswerAsync(http, Page("b2", more: false));
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] });

        var lists = await client.ListManyAsync(["a", "b", "c"]);

        Assert.Equal(["a1", "b1 b2", ""], lists.Select(static l => string.Join(' ', l.Items.Select(static i => i.Key))));
        Assert.All(lists, static l => Assert.Equal((7L, 1UL), (l.Revision, l.ClusterId)));
        Assert.Equal(["a", "b", "c"], transaction.Success.Select(static o => o.RequestRange.Key.ToStringUtf8()));
        Assert.All(transaction.Success, static o => Assert.InRange(o.RequestRange.Limit, 1, 2_000));
        Assert.All(transaction.Success, static o => Assert.False(o.RequestRange.Serializable));
        var rest = Assert.Single(ranges);
        Assert.Equal(("b1\0", "c", 7L), (rest.Key.ToStringUtf8(), rest.RangeEnd.ToStringUtf8(), rest.Revision));
    }

    [Fact]
    public async Task A_list_that_goes_on_after_a_transaction_starts_over_when_its_revision_is_gone()
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Txn, () => new TxnResponse
        {
            Header = new ResponseHeader { Revision = 7, ClusterId = 1 }, Succeeded = true, Responses = { Of(Page("a1", more: false)), Of(Page("b1", more: true)) },
        });
        server.On(EtcdMethods.Range, async http =>
        {
            var request = await ReadAsync(http, RangeRequest.Parser);
            await (request.Revision == 7
                ? ScriptedServer.RefuseAsync(http, StatusCode.OutOfRange, "etcdserver: mvcc: required revision has been compacted")
                : ScriptedServer.AnswerAsync(http, Page("b0", more: false, revision: 9)));
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] });

        var lists = await client.ListManyAsync(["a", "b"]);

        Assert.Equal(["a1", "b0"], lists.Select(static l => Assert.Single(l.Items).Key));
        Assert.Equal([7L, 9L], lists.Select(static l => l.Revision));
    }

    [Fact]
    public async Task An_answer_that_is_not_that_of_the_reads_is_an_error()
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Txn, () => new TxnResponse { Header = new ResponseHeader { Revision = 7, ClusterId = 1 }, Responses = { Of(Page("a1", more: false)) } });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] });

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListManyAsync(["a", "b"]));

        Assert.Equal(StatusCode.Internal, error.StatusCode);
        Assert.Empty(await client.ListManyAsync([]));
    }

    [Fact]
    public async Task What_does_not_arrive_whole_within_the_limit_is_asked_for_in_smaller_pieces()
    {
        await using var server = await ScriptedServer.StartAsync();
        var limits = new List<long>();
        server.On(EtcdMethods.Txn, ScriptedServer.BeginToAnswerAsync);
        server.On(EtcdMethods.Range, async http =>
        {
            var limit = (await ReadAsync(http, RangeRequest.Parser)).Limit;
            lock (limits)
            {
                limits.Add(limit);
            }

            await (limit > 1000 ? ScriptedServer.BeginToAnswerAsync(http) : ScriptedServer.AnswerAsync(http, Page("a1", more: false)));
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint], RequestTimeout = TimeSpan.FromSeconds(3) });

        Assert.Equal("a1", Assert.Single((await client.ListAsync("a")).Items).Key);
        Assert.Equal([2000, 125], limits);

        var lists = await client.ListManyAsync(["a", "b"]);
        Assert.All(lists, static l => Assert.Single(l.Items));
        Assert.Equal([125, 125, 125, 2000, 2000, 2000], limits.Order());
    }

    [Fact]
    public async Task Silence_is_no_reason_for_smaller_pieces()
    {
        await using var server = await ScriptedServer.StartAsync();
        var limits = new List<long>();
        server.On(EtcdMethods.Range, async http =>
        {
            limits.Add((await ReadAsync(http, RangeRequest.Parser)).Limit);
            await ScriptedServer.HangAsync(http);
        });
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1), RequestTimeout = TimeSpan.FromSeconds(1) });

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListAsync("a"));

        Assert.NotEqual(EtcdErrorReason.AnswerIncomplete, error.Reason);
        Assert.DoesNotContain(limits, static l => l != 2000);
    }

    private static RangeResponse Page(string key, bool more, long revision = 7) => new()
    {
        Header = new ResponseHeader { Revision = revision, ClusterId = 1 }, Kvs = { new KeyValue { Key = ByteString.CopyFromUtf8(key) } }, More = more,
    };

    private static ResponseOp Of(RangeResponse range) => new() { ResponseRange = range };

    private static async Task<T> ReadAsync<T>(Microsoft.AspNetCore.Http.HttpContext http, MessageParser<T> parser)
        where T : IMessage<T>
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);

        // After the flag and the length.
        return parser.ParseFrom(body.ToArray().AsSpan(5));
    }
}
