using Grpc.Core;

namespace Discovery.Etcd.Leasing;

/// <summary>What a keeper has to know of an error in order to go on.</summary>
internal static class KeeperErrors
{
    /// <summary>etcd does not know the lease that a write is to hang on.</summary>
    public static bool IsLeaseGone(Exception e) =>
        e is EtcdException { Reason: EtcdErrorReason.LeaseNotFound };

    /// <summary>No role of the user allows it.</summary>
    public static bool IsPermissionDenied(Exception? e) => e is EtcdException { StatusCode: StatusCode.PermissionDenied };

    /// <summary>
    /// etcd answered, and will answer the same until a person changes something: permissions, the password, a size, the space of the
    /// database, a member whose data are corrupt.
    /// </summary>
    public static bool IsRefusal(Exception e) => e is EtcdException { Reason: EtcdErrorReason.AuthenticationFailed } or EtcdException
    {
        StatusCode: StatusCode.InvalidArgument or StatusCode.PermissionDenied or StatusCode.Unauthenticated or StatusCode.ResourceExhausted
            or StatusCode.FailedPrecondition or StatusCode.OutOfRange or StatusCode.Unimplemented or StatusCode.DataLoss,
    };
}
