namespace Discovery.Etcd.Transport;

/// <summary>
/// etcd's own error texts, where its code alone does not tell what happened. They are part of etcd's API: its clients compare them too.
/// </summary>
internal static class EtcdMessages
{
    public const string PermissionDenied = "etcdserver: permission denied";
    public const string UserEmpty = "etcdserver: user name is empty";
    public const string InvalidAuthToken = "etcdserver: invalid auth token";
    public const string AuthOldRevision = "etcdserver: revision of auth store is old";
    public const string AuthNotEnabled = "etcdserver: authentication is not enabled";
    public const string AuthFailed = "etcdserver: authentication failed, invalid user ID or password";
    public const string LeaseNotFound = "etcdserver: requested lease not found";
    public const string LeaseExists = "etcdserver: lease already exists";
    public const string NoLeader = "etcdserver: no leader";

    /// <summary>UNAVAILABLE up to etcd 3.5, FAILED_PRECONDITION from 3.6 on; another member serves.</summary>
    public const string NotForLearner = "etcdserver: rpc not supported for learner";
    public const string NoSpace = "etcdserver: mvcc: database space exceeded";
    public const string RequestTooLarge = "etcdserver: request is too large";

    /// <summary>The words of etcd's gRPC library, which looks at the size first.</summary>
    public const string MessageTooLarge = "received message larger than max";

    /// <summary>
    /// A member that gave up on what we sent, because the attempt's limit reached it first. Go's own error texts come with the code
    /// UNKNOWN wherever etcd does not translate them.
    /// </summary>
    public static bool IsGivenUp(string detail) => Is(detail, "context deadline exceeded") || Is(detail, "context canceled");

    public static bool IsTokenError(string detail) => Is(detail, InvalidAuthToken) || Is(detail, AuthOldRevision) || Is(detail, UserEmpty);

    /// <summary>Whether a detail is, or carries, one of etcd's texts (proxies put words around them).</summary>
    public static bool Is(string detail, string message) => detail.Contains(message, StringComparison.Ordinal);
}
