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

    /// <summary>UNKNOWN. The user was added with --no-password.</summary>
    public const string NoPasswordUser = "password was given for no password user";

    public const string LeaseNotFound = "etcdserver: requested lease not found";
    public const string LeaseExists = "etcdserver: lease already exists";
    public const string NoLeader = "etcdserver: no leader";

    /// <summary>UNAVAILABLE up to etcd 3.5, FAILED_PRECONDITION from 3.6 on; another member serves.</summary>
    public const string NotForLearner = "etcdserver: rpc not supported for learner";

    /// <summary>UNKNOWN, as what follows: a leader that cannot renew leases, because its disk hangs or because it is none any more.</summary>
    public const string NotPrimaryLessor = "not a primary lessor";

    /// <summary>A leader that hands over takes no proposal.</summary>
    public const string ProposalDropped = "raft proposal dropped";

    public const string RaftStopped = "raft: stopped";

    public const string NoSpace = "etcdserver: mvcc: database space exceeded";
    public const string Corrupt = "etcdserver: corrupt cluster";
    public const string TooManyRequests = "etcdserver: too many requests";
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
        (NoPasswordUser, EtcdErrorReason.AuthenticationFailed),
        (AuthNotEnabled, EtcdErrorReason.AuthenticationNotEnabled),
        (InvalidAuthToken, EtcdErrorReason.InvalidToken),
        (AuthOldRevision, EtcdErrorReason.InvalidToken),
        (LeaseNotFound, EtcdErrorReason.LeaseNotFound),
        (LeaseExists, EtcdErrorReason.LeaseExists),
        (Compacted, EtcdErrorReason.Compacted),
        (FutureRevision, EtcdErrorReason.FutureRevision),
        (NoLeader, EtcdErrorReason.NoLeader),
        (NoSpace, EtcdErrorReason.NoSpace),
        (Corrupt, EtcdErrorReason.Corrupt),
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

    /// <summary>A member that cannot serve now, whatever the code says. Another one may.</summary>
    public static bool IsUnableToServe(string detail) =>
        IsNotTaken(detail) || detail.Contains(NotPrimaryLessor, StringComparison.Ordinal) || detail.Contains(RaftStopped, StringComparison.Ordinal);

    /// <summary>A member that refused before it did anything: what was sent was surely not carried out.</summary>
    public static bool IsNotTaken(string detail) =>
        detail.Contains(NotForLearner, StringComparison.Ordinal) || detail.Contains(ProposalDropped, StringComparison.Ordinal);

    /// <summary>Whether there is no leader, or none that a majority follows.</summary>
    public static bool IsOfLeader(string detail) =>
        detail.Contains("leader", StringComparison.Ordinal) || detail.Contains("timed out", StringComparison.Ordinal) || IsGivenUp(detail)
        || detail.Contains(NotPrimaryLessor, StringComparison.Ordinal) || detail.Contains(ProposalDropped, StringComparison.Ordinal);

    /// <summary>Whether a new token is the remedy.</summary>
    public static bool IsTokenError(string detail) => ReasonOf(detail) is EtcdErrorReason.InvalidToken or EtcdErrorReason.AuthenticationRequired;
}
