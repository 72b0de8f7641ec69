using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>The values of the tag <c>error.type</c>: etcd's own status as gRPC writes it, or what happened on this side.</summary>
internal static class ErrorTypes
{
    /// <summary>The caller gave up, or another attempt was answered.</summary>
    public const string Cancelled = "cancelled";

    /// <summary>No answer in time.</summary>
    public const string Silence = "silence";

    /// <summary>A mistake of ours.</summary>
    public const string Other = "_OTHER";

    public static string Of(CallFailedException failure) => failure.Kind switch
    {
        CallFailureKind.NotConnected => "not_connected",
        CallFailureKind.Connection => "connection",
        CallFailureKind.Silence => Silence,
        CallFailureKind.Malformed => "malformed",
        CallFailureKind.Planned => "planned",
        CallFailureKind.OtherCluster => "other_cluster",
        _ => Of(failure.Code),
    };

    public static string Of(StatusCode code) => code switch
    {
        StatusCode.OK => "OK",
        StatusCode.Cancelled => "CANCELLED",
        StatusCode.InvalidArgument => "INVALID_ARGUMENT",
        StatusCode.DeadlineExceeded => "DEADLINE_EXCEEDED",
        StatusCode.NotFound => "NOT_FOUND",
        StatusCode.AlreadyExists => "ALREADY_EXISTS",
        StatusCode.PermissionDenied => "PERMISSION_DENIED",
        StatusCode.ResourceExhausted => "RESOURCE_EXHAUSTED",
        StatusCode.FailedPrecondition => "FAILED_PRECONDITION",
        StatusCode.Aborted => "ABORTED",
        StatusCode.OutOfRange => "OUT_OF_RANGE",
        StatusCode.Unimplemented => "UNIMPLEMENTED",
        StatusCode.Internal => "INTERNAL",
        StatusCode.Unavailable => "UNAVAILABLE",
        StatusCode.DataLoss => "DATA_LOSS",
        StatusCode.Unauthenticated => "UNAUTHENTICATED",
        _ => "UNKNOWN",
    };
}
