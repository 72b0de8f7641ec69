using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>Which of etcd's methods are safe to be sent twice, whoever calls them: they read, or end what is ended then anyway.</summary>
internal static class RepeatableMethods
{
    private static readonly HashSet<string> All = new(StringComparer.Ordinal)
    {
        "/etcdserverpb.KV/Range",
        "/etcdserverpb.Lease/LeaseTimeToLive",
        "/etcdserverpb.Lease/LeaseLeases",
        "/etcdserverpb.Lease/LeaseRevoke",
        "/etcdserverpb.Cluster/MemberList",
        "/etcdserverpb.Maintenance/Status",
        "/etcdserverpb.Maintenance/Hash",
        "/etcdserverpb.Maintenance/HashKV",
        "/etcdserverpb.Auth/AuthStatus",
        "/etcdserverpb.Auth/UserGet",
        "/etcdserverpb.Auth/UserList",
        "/etcdserverpb.Auth/RoleGet",
        "/etcdserverpb.Auth/RoleList",
        "/v3electionpb.Election/Leader",
    };

    public static bool Contains(IMethod method) => All.Contains(method.FullName);
}
