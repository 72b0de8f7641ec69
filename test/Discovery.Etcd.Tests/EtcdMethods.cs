namespace Discovery.Etcd.Tests;

/// <summary>The names of etcd's methods, as they end the path of a request.</summary>
internal static class EtcdMethods
{
    public const string Range = "Range";
    public const string Put = "Put";
    public const string DeleteRange = "DeleteRange";
    public const string Txn = "Txn";
    public const string LeaseGrant = "LeaseGrant";
    public const string LeaseRevoke = "LeaseRevoke";
    public const string LeaseKeepAlive = "LeaseKeepAlive";
    public const string Watch = "Watch";
    public const string Status = "Status";
    public const string Authenticate = "Authenticate";
    public const string MemberList = "MemberList";
}
