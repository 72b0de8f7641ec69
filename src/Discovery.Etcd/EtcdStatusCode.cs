namespace Discovery.Etcd;

/// <summary>The status of a gRPC call to etcd; numbers as on the wire.</summary>
public enum EtcdStatusCode
{
    /// <summary>The call succeeded.</summary>
    Ok = 0,

    /// <summary>The caller cancelled, or etcd did.</summary>
    Cancelled = 1,

    /// <summary>An error without a better code, a malformed answer included.</summary>
    Unknown = 2,

    /// <summary>The request was malformed.</summary>
    InvalidArgument = 3,

    /// <summary>The time limit passed.</summary>
    DeadlineExceeded = 4,

    /// <summary>What was asked for does not exist, e.g. a lease.</summary>
    NotFound = 5,

    /// <summary>What was to be created exists, e.g. a lease id.</summary>
    AlreadyExists = 6,

    /// <summary>The user's roles do not allow it.</summary>
    PermissionDenied = 7,

    /// <summary>etcd is out of space or the request is too large.</summary>
    ResourceExhausted = 8,

    /// <summary>The cluster is not in the state the operation needs.</summary>
    FailedPrecondition = 9,

    /// <summary>The operation was aborted.</summary>
    Aborted = 10,

    /// <summary>A revision in the future or already compacted.</summary>
    OutOfRange = 11,

    /// <summary>The server does not know the operation.</summary>
    Unimplemented = 12,

    /// <summary>An internal error of etcd or of the transport.</summary>
    Internal = 13,

    /// <summary>No connection, no leader, or no quorum.</summary>
    Unavailable = 14,

    /// <summary>Data was lost.</summary>
    DataLoss = 15,

    /// <summary>The token is missing, wrong or expired.</summary>
    Unauthenticated = 16,
}
