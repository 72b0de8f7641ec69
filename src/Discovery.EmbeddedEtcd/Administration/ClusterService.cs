using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Administration;

/// <summary>etcdserverpb.Cluster of one member.</summary>
internal sealed class ClusterService(EtcdEngine engine, string endpoint) : Cluster.ClusterBase
{
    public override Task<MemberListResponse> MemberList(MemberListRequest request, ServerCallContext context)
    {
        var member = new Member { ID = engine.MemberId, Name = "embedded", ClientURLs = { endpoint } };
        return Task.FromResult(new MemberListResponse { Header = engine.Header(0), Members = { member } });
    }
}
