using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using static Discovery.Etcd.Protocol.Compare.Types;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class TransactionConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task All_writes_of_a_transaction_are_one_revision()
    {
        var before = (await Client.PutAsync(Key("c"), "")).Header.Revision;

        var response = await Client.TxnAsync(new TxnRequest { Success = { Put("a", "1"), Put("b", "2"), Delete("c"), Range("a"), Range("c") } });

        Assert.True(response.Succeeded);
        Assert.Equal(before + 1, response.Header.Revision);
        Assert.Equal("1", response.Responses[3].ResponseRange.Kvs[0].Value.ToStringUtf8());
        Assert.Equal(0, response.Responses[4].ResponseRange.Count);
        Assert.All((await Client.RangeAsync(All())).Kvs, kv => Assert.Equal(before + 1, kv.ModRevision));
    }

    [Fact]
    public async Task A_transaction_that_writes_nothing_is_no_revision()
    {
        var before = (await Client.PutAsync(Key("a"), "")).Header.Revision;

        var response = await Client.TxnAsync(new TxnRequest { Success = { Delete("none"), Range("a") } });

        Assert.Equal(before, response.Header.Revision);
    }

    [Fact]
    public async Task The_headers_inside_tell_the_revision_only()
    {
        var before = (await Client.PutAsync(Key("a"), "")).Header.Revision;

        var response = await Client.TxnAsync(new TxnRequest { Success = { Range("a"), Delete("none"), Put("b", ""), Range("a"), Txn() } });

        Assert.Equal(new ResponseHeader { Revision = before }, response.Responses[0].ResponseRange.Header);
        Assert.Equal(new ResponseHeader { Revision = before }, response.Responses[1].ResponseDeleteRange.Header);
        Assert.Equal(new ResponseHeader { Revision = before + 1 }, response.Responses[2].ResponsePut.Header);
        Assert.Equal(new ResponseHeader { Revision = before + 1 }, response.Responses[3].ResponseRange.Header);
        Assert.Equal(new ResponseHeader(), response.Responses[4].ResponseTxn.Header);
    }

    [Fact]
    public async Task Every_target_compares_with_every_operator()
    {
        var lease = (await Client.GrantAsync(600)).ID;
        await Client.PutAsync(Key("a"), "m", lease);
        await Client.PutAsync(Key("a"), "m", lease);
        var record = (await Client.GetAsync(Key("a"))).Kvs[0];

        await CompareAsync(0, new Compare { Target = CompareTarget.Version, Version = record.Version });
        await CompareAsync(1, new Compare { Target = CompareTarget.Version, Version = record.Version - 1 });
        await CompareAsync(-1, new Compare { Target = CompareTarget.Create, CreateRevision = record.CreateRevision + 1 });
        await CompareAsync(0, new Compare { Target = CompareTarget.Create, CreateRevision = record.CreateRevision });
        await CompareAsync(1, new Compare { Target = CompareTarget.Mod, ModRevision = record.CreateRevision });
        await CompareAsync(0, new Compare { Target = CompareTarget.Mod, ModRevision = record.ModRevision });
        await CompareAsync(0, new Compare { Target = CompareTarget.Value, Value = "m".Bytes() });
        await CompareAsync(1, new Compare { Target = CompareTarget.Value, Value = "l".Bytes() });
        await CompareAsync(-1, new Compare { Target = CompareTarget.Value, Value = "ma".Bytes() });
        await CompareAsync(0, new Compare { Target = CompareTarget.Lease, Lease = lease });
        await CompareAsync(1, new Compare { Target = CompareTarget.Lease, Lease = 0 });

        async Task CompareAsync(int order, Compare compare)
        {
            compare.Key = Key("a").Bytes();
            foreach (var (result, holds) in new[]
            {
                (CompareResult.Equal, order == 0), (CompareResult.NotEqual, order != 0), (CompareResult.Greater, order > 0), (CompareResult.Less, order < 0),
            })
            {
                compare.Result = result;
                Assert.Equal(holds, (await Client.TxnAsync(new TxnRequest { Compare = { compare } })).Succeeded);
            }
        }
    }

    [Fact]
    public async Task A_missing_key_compares_as_zero_and_its_value_with_nothing()
    {
        Assert.True(await HoldsAsync(new Compare { Target = CompareTarget.Version }));
        Assert.True(await HoldsAsync(new Compare { Target = CompareTarget.Mod, ModRevision = 1, Result = CompareResult.Less }));
        Assert.False(await HoldsAsync(new Compare { Target = CompareTarget.Value }));
        Assert.False(await HoldsAsync(new Compare { Target = CompareTarget.Value, Value = "x".Bytes(), Result = CompareResult.NotEqual }));
    }

    [Fact]
    public async Task A_range_compares_each_of_its_keys()
    {
        await Client.PutAsync(Key("a"), "1");
        await Client.PutAsync(Key("b"), "2");
        var range = All();
        var compare = new Compare { Key = range.Key, RangeEnd = range.RangeEnd, Target = CompareTarget.Value, Value = "2".Bytes(), Result = CompareResult.Less };

        Assert.False((await Client.TxnAsync(new TxnRequest { Compare = { compare } })).Succeeded);
        compare.Value = "3".Bytes();
        Assert.True((await Client.TxnAsync(new TxnRequest { Compare = { compare } })).Succeeded);
    }

    [Fact]
    public async Task All_comparisons_see_the_state_before_the_first_write()
    {
        var inner = new TxnRequest { Compare = { Exists("a") }, Success = { Put("b", "exists") }, Failure = { Put("b", "missing") } };

        await Client.TxnAsync(new TxnRequest { Success = { Put("a", ""), new RequestOp { RequestTxn = inner } } });

        Assert.Equal("missing", (await Client.GetAsync(Key("b"))).Kvs[0].Value.ToStringUtf8());
    }

    [Fact]
    public async Task The_failure_branch_runs_when_a_comparison_fails()
    {
        var response = await Client.TxnAsync(new TxnRequest { Compare = { Exists("a") }, Success = { Put("a", "") }, Failure = { Range("a"), Put("b", "") } });

        Assert.False(response.Succeeded);
        Assert.Equal(["b"], Names(await Client.RangeAsync(All())));
        Assert.Equal(2, response.Responses.Count);
    }

    [Fact]
    public async Task A_key_must_not_be_written_twice()
    {
        await DuplicateAsync(Put("a", "1"), Put("a", "2"));
        await DuplicateAsync(Put("a", "1"), Delete("a"));
        await DuplicateAsync(DeleteRange("a", "c"), Put("b", "1"));
        await DuplicateAsync(Put("a", "1"), Txn(Put("a", "2")));
        await DuplicateAsync(Txn(Put("a", "1")), Txn(Put("a", "2")));
        await DuplicateAsync(Txn(Delete("a")), Txn(Put("a", "2")));
        await DuplicateAsync(Delete("a"), Txn(Put("a", "2")));
    }

    [Fact]
    public async Task Some_double_writes_are_allowed_as_in_etcd()
    {
        await Client.PutAsync(Key("a"), "0");
        var branches = new TxnRequest { Success = { Put("a", "1") }, Failure = { Put("a", "2") } };
        await Client.TxnAsync(new TxnRequest { Success = { new RequestOp { RequestTxn = branches } } });
        await Client.TxnAsync(new TxnRequest { Success = { Delete("a"), Delete("a") } });
        await Client.TxnAsync(new TxnRequest { Success = { Txn(Put("a", "3")), Txn(Delete("a")) } });
        await Client.PutAsync(Key("a"), "0");
        var unbounded = new RequestOp { RequestDeleteRange = new DeleteRangeRequest { Key = "~".Bytes(), RangeEnd = ByteString.CopyFrom(0) } };
        await Client.TxnAsync(new TxnRequest { Success = { unbounded, new RequestOp { RequestPut = new PutRequest { Key = "~~".Bytes() } } } });

        Assert.Equal(1, (await Client.GetAsync("~~")).Kvs[0].Version);
    }

    [Fact]
    public async Task Impossible_operations_fail_the_transaction_before_it_writes()
    {
        var before = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        var future = Range("a");
        future.RequestRange.Revision = before + 100;
        var ignoring = Put("none", "");
        ignoring.RequestPut.IgnoreLease = true;
        var leased = Put("b", "");
        leased.RequestPut.Lease = 4711;

        await FailsAsync(StatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision", Put("b", ""), future);
        await FailsAsync(StatusCode.InvalidArgument, "etcdserver: key not found", Put("b", ""), ignoring);
        await FailsAsync(StatusCode.NotFound, "etcdserver: requested lease not found", Put("c", ""), leased);
        await FailsAsync(StatusCode.InvalidArgument, "etcdserver: key is not provided", new RequestOp { RequestPut = new PutRequest() });
        await FailsAsync(StatusCode.InvalidArgument, "etcdserver: key not found", new RequestOp());
        Assert.Equal(before, (await Client.GetAsync(Key("a"))).Header.Revision);
    }

    [Fact]
    public async Task A_transaction_has_128_operations_at_most()
    {
        var most = new TxnRequest();
        most.Success.AddRange(Enumerable.Range(0, 128).Select(i => Put($"{i}", "")));
        await Client.TxnAsync(most);

        await FailsAsync(StatusCode.InvalidArgument, "etcdserver: too many operations in txn request", [.. most.Success, Put("x", "")]);
        await FailsAsync(StatusCode.InvalidArgument, "etcdserver: too many operations in txn request", [.. most.Success.Skip(1), Txn(Range("a"), Range("b"))]);
    }

    private async Task DuplicateAsync(params RequestOp[] operations)
        => await FailsAsync(StatusCode.InvalidArgument, "etcdserver: duplicate key given in txn request", operations);

    private async Task FailsAsync(StatusCode code, string message, params RequestOp[] operations)
        => Assert.Equal((code, message), await RawClient.FailureOfAsync(Client.TxnAsync(new TxnRequest { Success = { operations } })));

    private async Task<bool> HoldsAsync(Compare compare)
    {
        compare.Key = Key("none").Bytes();
        return (await Client.TxnAsync(new TxnRequest { Compare = { compare } })).Succeeded;
    }

    private Compare Exists(string name) => new() { Key = Key(name).Bytes(), Target = CompareTarget.Version, Result = CompareResult.Greater };

    private RequestOp Put(string name, string value) => new() { RequestPut = new PutRequest { Key = Key(name).Bytes(), Value = value.Bytes() } };

    private RequestOp Delete(string name) => new() { RequestDeleteRange = new DeleteRangeRequest { Key = Key(name).Bytes() } };

    private RequestOp DeleteRange(string from, string to)
        => new() { RequestDeleteRange = new DeleteRangeRequest { Key = Key(from).Bytes(), RangeEnd = Key(to).Bytes() } };

    private RequestOp Range(string name) => new() { RequestRange = new RangeRequest { Key = Key(name).Bytes() } };

    private static RequestOp Txn(params RequestOp[] operations) => new() { RequestTxn = new TxnRequest { Success = { operations } } };
}

[Collection(EmbeddedTests.Name)]
public sealed class TransactionOnEmbedded(EmbeddedServer server) : TransactionConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class TransactionOnEtcd(RealServer server) : TransactionConformance(server);
