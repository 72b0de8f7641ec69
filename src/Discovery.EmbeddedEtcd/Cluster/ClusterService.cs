using Discovery.EmbeddedEtcd.Server;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Cluster;

/// <summary>etcdserverpb.Cluster, .Maintenance and .Auth, as far as a single member without users has them.</summary>
internal sealed class ClusterService(EtcdEngine engine, string endpoint)
{
    /// <summary>The release whose behaviour this follows.</summary>
    private const string Version = "3.4.23+embedded";

    public MemberListResponse MemberList(MemberListRequest request)
    {
        var response = new MemberListResponse { Header = engine.Header(0) };
        response.Members.Add(new Member { ID = engine.MemberId, Name = "embedded", ClientURLs = { endpoint } });
        return response;
    }

    public StatusResponse Status(StatusRequest request)
    {
        lock (engine.Gate)
        {
            return new StatusResponse
            {
                Header = engine.Header(),
                Version = Version,
                DbSize = engine.Store.Size,
                DbSizeInUse = engine.Store.Size,
                Leader = engine.MemberId,
                RaftIndex = engine.AppliedIndex,
                RaftAppliedIndex = engine.AppliedIndex,
                RaftTerm = EtcdEngine.RaftTerm,
            };
        }
    }

    public static AuthenticateResponse Authenticate(AuthenticateRequest request) => throw EtcdErrors.AuthNotEnabled();
}
