namespace Discovery.Etcd.Transport;

/// <summary>How one attempt of one call failed.</summary>
internal enum GrpcFailureKind
{
    /// <summary>The peer answered with a status.</summary>
    Status,

    /// <summary>No connection, or it broke.</summary>
    Connection,

    /// <summary>No answer within the attempt's limit.</summary>
    Silence,

    /// <summary>The answer is not well-formed gRPC.</summary>
    Malformed,

    /// <summary>We ended it ourselves, to open another.</summary>
    Planned,
}

/// <summary>One attempt of one call failed. Callers outside see it as an <see cref="EtcdException"/>.</summary>
internal sealed class GrpcException(EtcdStatusCode code, string detail, GrpcFailureKind kind, Exception? innerException = null)
    : Exception(detail, innerException)
{
    public EtcdStatusCode Code { get; } = code;

    /// <summary>The peer's own words, or ours where there are none.</summary>
    public string Detail { get; } = detail;

    public GrpcFailureKind Kind { get; } = kind;

    /// <summary>
    /// Whether another endpoint, or the same one a little later, may well succeed. All that is sent is safe to be sent twice, so a
    /// broken connection counts even when the request may have arrived.
    /// </summary>
    public bool IsTransient => Kind is not (GrpcFailureKind.Status or GrpcFailureKind.Planned)
        || (Kind == GrpcFailureKind.Status && Code is (EtcdStatusCode.Unavailable or EtcdStatusCode.DeadlineExceeded or EtcdStatusCode.Cancelled))
        || (Code == EtcdStatusCode.Unknown && EtcdMessages.IsGivenUp(Detail))
        || (Code == EtcdStatusCode.ResourceExhausted && Detail.Contains("too many requests", StringComparison.Ordinal));

    /// <summary>
    /// Whether a new token is the remedy: etcd does not know the one sent, the users and roles changed since it was issued, or none
    /// was sent and authentication has been enabled meanwhile.
    /// </summary>
    public bool WantsNewToken => Kind == GrpcFailureKind.Status && EtcdMessages.IsTokenError(Detail);

    public static GrpcException Malformed(string detail, Exception? inner = null) =>
        new(EtcdStatusCode.Unknown, detail, GrpcFailureKind.Malformed, inner);

    public static GrpcException TooLarge(long size, long limit) =>
        new(EtcdStatusCode.ResourceExhausted, $"the message has {size} bytes, more than the limit of {limit}", GrpcFailureKind.Status);

    public static GrpcException Planned(string detail) =>
        new(EtcdStatusCode.Cancelled, detail, GrpcFailureKind.Planned);

    public static GrpcException Silent(string detail) =>
        new(EtcdStatusCode.DeadlineExceeded, detail, GrpcFailureKind.Silence);
}
