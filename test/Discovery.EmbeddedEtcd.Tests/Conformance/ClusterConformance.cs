using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class ClusterConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task Status_is_that_of_a_leader()
    {
        var status = await Client.StatusAsync();

        Assert.Equal(3, (await VersionAsync()).Major);
        Assert.Equal(status.Header.MemberId, status.Leader);
        Assert.NotEqual(0ul, status.Header.ClusterId);
        Assert.Equal(status.Header.RaftTerm, status.RaftTerm);
        Assert.True(status.RaftIndex > 0 && status.RaftAppliedIndex > 0);
        Assert.False(status.IsLearner);
        Assert.Empty(status.Errors);
    }

    [Fact]
    public async Task The_one_member_can_be_reached_at_its_client_url()
    {
        var list = await RawClient.AnswerAsync(Client.Cluster.MemberListAsync(new MemberListRequest()));

        var member = Assert.Single(list.Members);
        Assert.Equal([Endpoint], member.ClientURLs);
        Assert.Equal(list.Header.MemberId, member.ID);
        Assert.Equal(0, list.Header.Revision);
    }

    [Fact]
    public async Task Authentication_is_not_enabled()
        => Assert.Equal(
            (StatusCode.FailedPrecondition, "etcdserver: authentication is not enabled"),
            await RawClient.FailureOfAsync(RawClient.AnswerAsync(Client.Auth.AuthenticateAsync(new AuthenticateRequest { Name = "root", Password = "secret" }))));

    [Fact]
    public async Task Authentication_has_a_status()
    {
        if ((await VersionAsync()).HasAuthStatus())
        {
            var status = await RawClient.AnswerAsync(Client.Auth.AuthStatusAsync(new AuthStatusRequest()));

            Assert.Equal((false, 1ul), (status.Enabled, status.AuthRevision));
            Assert.NotEqual(0, status.Header.Revision);
        }
    }

    [Fact]
    public async Task There_is_no_alarm()
    {
        foreach (var action in (AlarmRequest.Types.AlarmAction[])[AlarmRequest.Types.AlarmAction.Get, AlarmRequest.Types.AlarmAction.Deactivate])
        {
            var response = await RawClient.AnswerAsync(Client.Maintenance.AlarmAsync(new AlarmRequest { Action = action }));

            Assert.Empty(response.Alarms);
        }
    }

    [Fact]
    public async Task The_hash_of_the_history_changes_with_it()
    {
        var before = (await Client.PutAsync(Key("a"), "1")).Header.Revision;
        var first = await HashAsync(0);
        await Client.PutAsync(Key("a"), "2");

        Assert.NotEqual(first.Hash, (await HashAsync(0)).Hash);
        Assert.Equal(first.Hash, (await HashAsync(before)).Hash);
        Assert.Equal(
            (StatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision"), await RawClient.FailureOfAsync(HashAsync(before + 100)));
    }

    [Fact]
    public async Task Defragmenting_is_done()
        => await RawClient.AnswerAsync(Client.Maintenance.DefragmentAsync(new DefragmentRequest()));

    [Fact]
    public async Task An_unknown_method_is_unimplemented()
    {
        foreach (var service in (string[])["etcdserverpb.KV", "etcdserverpb.Unknown"])
        {
            var unknown = new Method<StatusRequest, StatusResponse>(
                MethodType.Unary,
                service,
                "Unknown",
                Marshallers.Create(static r => r.ToByteArray(), StatusRequest.Parser.ParseFrom),
                Marshallers.Create(static r => r.ToByteArray(), StatusResponse.Parser.ParseFrom));

            var call = RawClient.AnswerAsync(Client.Invoker.AsyncUnaryCall(unknown, null, default, new StatusRequest()));

            Assert.Equal(StatusCode.Unimplemented, (await RawClient.FailureOfAsync(call)).Code);
        }
    }

    private Task<HashKVResponse> HashAsync(long revision) => RawClient.AnswerAsync(Client.Maintenance.HashKVAsync(new HashKVRequest { Revision = revision }));
}

[Collection(EmbeddedTests.Name)]
public sealed class ClusterOnEmbedded(EmbeddedServer server) : ClusterConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class ClusterOnEtcd(RealServer server) : ClusterConformance(server);
