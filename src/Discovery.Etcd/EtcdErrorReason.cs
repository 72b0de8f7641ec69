namespace Discovery.Etcd;

/// <summary>What etcd meant by a refusal, where its status code alone does not tell.</summary>
public enum EtcdErrorReason
{
    /// <summary>Nothing that is told apart here: see the status code.</summary>
    Unspecified,

    /// <summary>The user's roles do not allow it.</summary>
    PermissionDenied,

    /// <summary>The cluster has authentication enabled, and no user was given.</summary>
    AuthenticationRequired,

    /// <summary>The user or the password is wrong.</summary>
    AuthenticationFailed,

    /// <summary>A user was given, but the cluster has no authentication enabled.</summary>
    AuthenticationNotEnabled,

    /// <summary>The auth token is unknown, expired, or older than the last change of users and roles.</summary>
    InvalidToken,

    /// <summary>The lease does not exist: it ran out or was revoked.</summary>
    LeaseNotFound,

    /// <summary>A lease with this id exists already.</summary>
    LeaseExists,

    /// <summary>The revision asked for was compacted.</summary>
    Compacted,

    /// <summary>The revision asked for is yet to come.</summary>
    FutureRevision,

    /// <summary>The member knows no leader.</summary>
    NoLeader,

    /// <summary>The database is full.</summary>
    NoSpace,

    /// <summary>The request is larger than etcd allows.</summary>
    RequestTooLarge,

    /// <summary>No endpoint was reached, for TLS failed at each: a certificate or its authority does not fit, or etcd speaks no TLS there.</summary>
    TlsFailed,

    /// <summary>The members' data differ: etcd raised its alarm CORRUPT, and takes no writes.</summary>
    Corrupt,

    /// <summary>
    /// An answer was arriving and was not whole when the limit passed: it is large for its connection. Lists ask for smaller pages when they meet it.
    /// </summary>
    AnswerIncomplete,
}
