using Grpc.Core;

namespace Discovery.Etcd.Watching;

/// <summary>What ended a watch stream.</summary>
internal enum StreamEndKind
{
    /// <summary>We ended it, to open another one or none.</summary>
    Planned,

    /// <summary>There is no connection, or it broke, or the server ended the stream.</summary>
    Broken,

    /// <summary>The server did not answer in time.</summary>
    Silent,

    /// <summary>The member says that it cannot serve: it has no leader, is a learner, is overloaded or cut off.</summary>
    Unavailable,

    /// <summary>The server does not accept the auth token.</summary>
    TokenInvalid,

    /// <summary>The server refuses for another reason, which time alone may not heal.</summary>
    Rejected,
}

/// <summary>Why a watch stream ended.</summary>
/// <param name="Kind">What ended it.</param>
/// <param name="Detail">The reason, for the log.</param>
/// <param name="Error">What readers are told; <see langword="null"/> for a planned end, which they are not told of.</param>
internal sealed record StreamEnd(StreamEndKind Kind, string Detail, EtcdException? Error)
{
    /// <summary>What ended it, as metrics write it.</summary>
    public string Reason => Kind switch
    {
        StreamEndKind.Planned => "planned",
        StreamEndKind.Broken => "broken",
        StreamEndKind.Silent => "silence",
        StreamEndKind.Unavailable => "unavailable",
        StreamEndKind.TokenInvalid => "token_invalid",
        _ => "rejected",
    };

    public static StreamEnd Planned(string detail) => new(StreamEndKind.Planned, detail, null);

    public static StreamEnd Silent(string endpoint, TimeSpan limit) => Of(
        StreamEndKind.Silent, endpoint, $"it gave no sign of life within {limit.TotalSeconds:0.###} s", StatusCode.DeadlineExceeded);

    public static StreamEnd CutOff(string endpoint) => Of(
        StreamEndKind.Unavailable, endpoint, "the member is cut off: it lags behind the cluster", StatusCode.Unavailable);

    public static StreamEnd OtherCluster(string endpoint, ulong clusterId) => Of(
        StreamEndKind.Unavailable, endpoint, $"it belongs to another cluster ({clusterId:x})", StatusCode.FailedPrecondition);

    public static StreamEnd Failed(string endpoint, Exception failure) => Of(
        StreamEndKind.Broken, endpoint, failure.Message, StatusCode.Internal, failure);

    private static StreamEnd Of(StreamEndKind kind, string endpoint, string detail, StatusCode code, Exception? cause = null) => new(
        kind, detail, new EtcdException($"The {WatchCall.Operation} stream at {endpoint} ended: {detail} ({code}).", new Status(code, detail, cause), WatchCall.Operation, [endpoint]));
}
