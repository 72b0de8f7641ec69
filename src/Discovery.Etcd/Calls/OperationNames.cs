namespace Discovery.Etcd.Calls;

/// <summary>What errors and logs call the streams; unary calls go by the name of their method.</summary>
internal static class OperationNames
{
    public const string Watch = nameof(Protocol.Watch);
    public const string LeaseKeepAlive = nameof(Protocol.Lease.LeaseClient.LeaseKeepAlive);
}
