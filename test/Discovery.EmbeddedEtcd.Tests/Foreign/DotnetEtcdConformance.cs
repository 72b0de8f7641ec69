using System.Collections.Concurrent;
using Discovery.EmbeddedEtcd.Tests.Support;
using Etcdserverpb;
using Mvccpb;
using dotnet_etcd;

namespace Discovery.EmbeddedEtcd.Tests.Foreign;

/// <summary>The package dotnet-etcd, the usual client of .NET services, with its own messages and stubs.</summary>
public abstract class DotnetEtcdConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task Puts_gets_and_deletes()
    {
        using var etcd = new EtcdClient(Endpoint, configureChannelOptions: Insecure);
        await etcd.PutAsync(Key("a"), "1");
        await etcd.PutAsync(Key("b"), "2");

        Assert.Equal("1", await etcd.GetValAsync(Key("a")));
        Assert.Equal(["1", "2"], (await etcd.GetRangeValAsync(Key(""))).Values.Order(StringComparer.Ordinal));
        Assert.Equal(2, (await etcd.DeleteRangeAsync(Key(""))).Deleted);
        Assert.Empty(await etcd.GetValAsync(Key("a")));
    }

    [Fact]
    public async Task Runs_transactions_and_keeps_leases()
    {
        using var etcd = new EtcdClient(Endpoint, configureChannelOptions: Insecure);
        var lease = (await etcd.LeaseGrantAsync(new LeaseGrantRequest { TTL = 600 })).ID;
        var request = new TxnRequest
        {
            Compare = { new Compare { Key = Key("a").Bytes(), Target = Compare.Types.CompareTarget.Version, Result = Compare.Types.CompareResult.Equal } },
            Success = { new RequestOp { RequestPut = new PutRequest { Key = Key("a").Bytes(), Value = "1".Bytes(), Lease = lease } } },
            Failure = { new RequestOp { RequestRange = new RangeRequest { Key = Key("a").Bytes() } } },
        };

        Assert.True((await etcd.TransactionAsync(request)).Succeeded);
        Assert.Equal(lease, Assert.Single((await etcd.TransactionAsync(request)).Responses).ResponseRange.Kvs[0].Lease);
        Assert.Equal(600, (await etcd.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest { ID = lease })).GrantedTTL);
        await etcd.LeaseRevokeAsync(new LeaseRevokeRequest { ID = lease });
        Assert.Empty(await etcd.GetValAsync(Key("a")));
    }

    [Fact]
    public async Task Watches_a_range()
    {
        using var etcd = new EtcdClient(Endpoint, configureChannelOptions: Insecure);
        var events = new ConcurrentQueue<string>();
        await etcd.WatchRangeAsync(Key(""), (WatchResponse response) =>
        {
            foreach (var e in response.Events)
            {
                events.Enqueue($"{(e.Type == Event.Types.EventType.Put ? "put" : "delete")} {Name(e.Kv.Key)} {e.Kv.Value.ToStringUtf8()}".TrimEnd());
            }
        });

        // Its watch may be created later than it says.
        await Eventually.IsTrue(async () =>
        {
            await etcd.PutAsync(Key("first"), "");
            return !events.IsEmpty;
        });
        await etcd.PutAsync(Key("a"), "1");
        await etcd.DeleteAsync(Key("a"));

        await Eventually.IsTrue(() => events.TakeLast(2).SequenceEqual(["put a 1", "delete a"]));
    }

    [Fact]
    public async Task Reads_status_and_members()
    {
        using var etcd = new EtcdClient(Endpoint, configureChannelOptions: Insecure);

        Assert.NotEmpty((await etcd.StatusAsync(new StatusRequest())).Version);
        Assert.Equal([Endpoint], Assert.Single((await etcd.MemberListAsync(new MemberListRequest())).Members).ClientURLs);
    }

    private static void Insecure(Grpc.Net.Client.GrpcChannelOptions options) => options.Credentials = Grpc.Core.ChannelCredentials.Insecure;
}

[Collection(EmbeddedTests.Name)]
public sealed class DotnetEtcdOnEmbedded(EmbeddedServer server) : DotnetEtcdConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class DotnetEtcdOnEtcd(RealServer server) : DotnetEtcdConformance(server);
