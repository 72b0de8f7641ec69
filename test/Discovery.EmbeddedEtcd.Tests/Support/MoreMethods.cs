using Discovery.Etcd.Protocol;
using Discovery.Etcd.Transport;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>The methods that etcd and the embedded one have and the client library does not use.</summary>
internal static class MoreMethods
{
    public static readonly EtcdMethod<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse> LeaseTimeToLive
        = new("/etcdserverpb.Lease/LeaseTimeToLive", LeaseTimeToLiveResponse.Parser);

    public static readonly EtcdMethod<LeaseLeasesRequest, LeaseLeasesResponse> LeaseLeases
        = new("/etcdserverpb.Lease/LeaseLeases", LeaseLeasesResponse.Parser);

    public static readonly EtcdMethod<MemberListRequest, MemberListResponse> MemberList
        = new("/etcdserverpb.Cluster/MemberList", MemberListResponse.Parser);
}
