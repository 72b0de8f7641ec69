using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Calls;

/// <summary>What errors and logs call operations; other unary calls go by the name of their method.</summary>
internal static class OperationNames
{
    public const string Watch = nameof(Protocol.Watch);
    public const string LeaseKeepAlive = nameof(Lease.LeaseClient.LeaseKeepAlive);
    public const string LeaseGrant = nameof(Lease.LeaseClient.LeaseGrant);

    /// <summary>Whether an answer may hold more than a few hundred bytes.</summary>
    public static bool HasLongAnswer(string operation) => operation is nameof(KV.KVClient.Range) or nameof(KV.KVClient.Txn)
        or nameof(KV.KVClient.DeleteRange) or nameof(Lease.LeaseClient.LeaseLeases) or nameof(Lease.LeaseClient.LeaseTimeToLive);

    /// <summary>
    /// The permission on keys that an operation needs, as etcdctl names it; <see langword="null"/> where it is none on keys but the role root.
    /// </summary>
    public static string? NeededPermission(string operation) => operation switch
    {
        nameof(KV.KVClient.Range) or Watch or nameof(Lease.LeaseClient.LeaseTimeToLive) or "Leader" or "Observe" => "read",
        nameof(KV.KVClient.Put) or nameof(KV.KVClient.DeleteRange) or nameof(KV.KVClient.Txn) or nameof(Lease.LeaseClient.LeaseRevoke)
            or LeaseGrant or LeaseKeepAlive or "Lock" or "Unlock" or "Campaign" or "Proclaim" or "Resign" => "readwrite",
        _ => null,
    };
}
