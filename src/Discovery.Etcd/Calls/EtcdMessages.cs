namespace Discovery.Etcd.Calls;

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
    public const string Compacted = "etcdserver: mvcc: required revision has been compacted";
    public const string FutureRevision = "etcdserver: mvcc: required revision is a future revision";

    /// <summary>The words of etcd's gRPC library, which looks at the size first.</summary>
    public const string MessageTooLarge = "received message larger than max";

    private static readonly (string Text, EtcdErrorReason Reason)[] Reasons =
    [
        (PermissionDenied, EtcdErrorReason.PermissionDenied),
        (UserEmpty, EtcdErrorReason.AuthenticationRequired),
        (AuthFailed, EtcdErrorReason.AuthenticationFailed),
        (AuthNotEnabled, EtcdErrorReason.AuthenticationNotEnabled),
        (InvalidAuthToken, EtcdErrorReason.InvalidToken),
        (AuthOldRevision, EtcdErrorReason.InvalidToken),
        (LeaseNotFound, EtcdErrorReason.LeaseNotFound),
        (LeaseExists, EtcdErrorReason.LeaseExists),
        (Compacted, EtcdErrorReason.Compacted),
        (FutureRevision, EtcdErrorReason.FutureRevision),
        (NoLeader, EtcdErrorReason.NoLeader),
        (NoSpace, EtcdErrorReason.NoSpace),
        (RequestTooLarge, EtcdErrorReason.RequestTooLarge),
        (MessageTooLarge, EtcdErrorReason.RequestTooLarge),
    ];

    /// <summary>What etcd's words mean. Proxies put words around them.</summary>
    public static EtcdErrorReason ReasonOf(string detail) =>
        Array.Find(Reasons, r => detail.Contains(r.Text, StringComparison.Ordinal)).Reason;

    /// <summary>
    /// A member that gave up on what we sent, because the attempt's limit reached it first. Go's own error texts come with the code
    /// UNKNOWN wherever etcd does not translate them.
    /// </summary>
    public static bool IsGivenUp(string detail) =>
        detail.Contains("context deadline exceeded", StringComparison.Ordinal) || detail.Contains("context canceled", StringComparison.Ordinal);

    /// <summary>Whether a new token is the remedy.</summary>
    public static bool IsTokenError(string detail) => ReasonOf(detail) is EtcdErrorReason.InvalidToken or EtcdErrorReason.AuthenticationRequired;
}
