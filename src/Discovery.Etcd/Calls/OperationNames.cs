namespace Discovery.Etcd.Calls;

/// <summary>What errors and logs call operations; other unary calls go by the name of their method.</summary>
internal static class OperationNames
{
    public const string Watch = nameof(Protocol.Watch);
    public const string LeaseKeepAlive = nameof(Protocol.Lease.LeaseClient.LeaseKeepAlive);
    public const string LeaseGrant = nameof(Protocol.Lease.LeaseClient.LeaseGrant);
}
