using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Conformance;

public abstract class ClusterConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task Status_is_that_of_a_leader()
    {
        var status = await Client.CallAsync(EtcdMethods.Status, new StatusRequest());

        Assert.StartsWith("3.4.", status.Version, StringComparison.Ordinal);
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
        var list = await Client.CallAsync(EtcdMethods.MemberList, new MemberListRequest());

        var member = Assert.Single(list.Members);
        Assert.Equal([Endpoint], member.ClientURLs);
        Assert.Equal(list.Header.MemberId, member.ID);
        Assert.Equal(0, list.Header.Revision);
    }

    [Fact]
    public async Task Authentication_is_not_enabled()
        => Assert.Equal(
            (StatusCode.FailedPrecondition, "etcdserver: authentication is not enabled"),
            await RawClient.FailureOfAsync(Client.CallAsync(EtcdMethods.Authenticate, new AuthenticateRequest { Name = "root", Password = "secret" })));

    [Fact]
    public async Task An_unknown_method_is_unimplemented()
    {
        var unknown = EtcdMethods.Create("KV", "Unknown", StatusRequest.Parser, StatusResponse.Parser);

        Assert.Equal(StatusCode.Unimplemented, (await RawClient.FailureOfAsync(Client.CallAsync(unknown, new StatusRequest()))).Code);
    }
}

[Collection(EmbeddedTests.Name)]
public sealed class ClusterOnEmbedded(EmbeddedServer server) : ClusterConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class ClusterOnEtcd(RealServer server) : ClusterConformance(server);
