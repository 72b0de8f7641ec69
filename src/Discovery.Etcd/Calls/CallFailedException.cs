using System.Net.Sockets;
using System.Security.Authentication;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Tls;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>How one attempt of one call failed.</summary>
internal enum CallFailureKind
{
    /// <summary>The peer answered with a status.</summary>
    Status,

    /// <summary>No connection could be made, so nothing was sent.</summary>
    NotConnected,

    /// <summary>The connection broke.</summary>
    Connection,

    /// <summary>No answer within the attempt's limit.</summary>
    Silence,

    /// <summary>The answer is not well-formed gRPC.</summary>
    Malformed,

    /// <summary>We ended it ourselves, to open another.</summary>
    Planned,

    /// <summary>The endpoint belongs to another cluster.</summary>
    OtherCluster,
}

/// <summary>One attempt of one call failed. Callers outside see it as an <see cref="EtcdException"/>.</summary>
internal sealed class CallFailedException(StatusCode code, string detail, CallFailureKind kind, Exception? innerException = null)
    : Exception(detail, innerException)
{
    // How Grpc.Net.Client begins the text of an answer that is HTTP but not gRPC. It decides about wording only.
    private const string NotGrpc = "Bad gRPC response.";

    private const int HttpOneRequired = 13;

    public StatusCode Code { get; } = code;

    /// <summary>The peer's own words, or ours where there are none.</summary>
    public string Detail { get; } = detail;

    public CallFailureKind Kind { get; } = kind;

    /// <summary>
    /// Whether another endpoint, or the same one a little later, may well succeed. Some peers cancel, and gRPC calls an answer that ends
    /// without a status cancelled and one that cannot be read an internal error: none of these is a refusal.
    /// </summary>
    public bool IsTransient => Kind switch
    {
        CallFailureKind.Planned => false,
        CallFailureKind.Status => IsUnableToServe || Code is StatusCode.DeadlineExceeded or StatusCode.Cancelled or StatusCode.Internal
            || (Code == StatusCode.Unknown && EtcdMessages.IsGivenUp(Detail))
            || (Code == StatusCode.ResourceExhausted && Detail.Contains(EtcdMessages.TooManyRequests, StringComparison.Ordinal)),
        _ => true,
    };

    /// <summary>Whether the member at the other end answered that it cannot serve: it is a learner, is cut off, or its leader is changing.</summary>
    public bool IsUnableToServe => Kind == CallFailureKind.Status && (Code == StatusCode.Unavailable || EtcdMessages.IsUnableToServe(Detail));

    /// <summary>Whether the call was surely not carried out, so that even what is not safe to be sent twice can be sent again.</summary>
    public bool IsNotCarriedOut => Kind is CallFailureKind.NotConnected or CallFailureKind.OtherCluster
        || (Kind == CallFailureKind.Status && EtcdMessages.IsNotTaken(Detail));

    /// <summary>
    /// Whether a new token is the remedy: etcd does not know the one sent, the users and roles changed since it was issued, or none
    /// was sent and authentication has been enabled meanwhile.
    /// </summary>
    public bool WantsNewToken => Kind == CallFailureKind.Status && EtcdMessages.IsTokenError(Detail);

    /// <summary>Whether the files of our side or the certificate of the other one stand in the way.</summary>
    public bool IsOfTls
    {
        get
        {
            Exception? e = this;
            while (e is not (null or AuthenticationException or TlsFilesException))
            {
                e = e is RpcException rpc ? rpc.Status.DebugException : e.InnerException;
            }

            return e is not null;
        }
    }

    public static CallFailedException Planned(string detail) => new(StatusCode.Cancelled, detail, CallFailureKind.Planned);

    public static CallFailedException Silent(string detail) => new(StatusCode.DeadlineExceeded, detail, CallFailureKind.Silence);

    /// <summary>
    /// The failure behind an exception of a stub. Local causes are told by the exception they carry, never by the code: the code of a broken
    /// connection may be one that peers use too.
    /// </summary>
    public static CallFailedException From(RpcException exception)
    {
        var (code, detail) = (exception.StatusCode, exception.Status.Detail);
        if (exception.Status.DebugException is { } cause)
        {
            return IsOfTheNetwork(cause)
                ? new(StatusCode.Unavailable, Describe(cause), IsNotConnected(cause) ? CallFailureKind.NotConnected : CallFailureKind.Connection, exception)
                : new(code, $"the answer is malformed: {cause.GetBaseException().Message.TrimEnd('.')}", CallFailureKind.Malformed, exception);
        }

        return detail.StartsWith(NotGrpc, StringComparison.Ordinal)
            ? new(code, $"{detail.TrimEnd('.')}: something else than etcd, such as a web server or a proxy, listens there", CallFailureKind.Malformed, exception)
            : new(code, detail.Length > 0 ? detail : $"status {code} without a message", CallFailureKind.Status, exception);
    }

    // The HTTP stack lets more through than its own exceptions when a connection breaks at a bad moment: socket errors, disposed streams,
    // and cancellations that nobody asked for.
    private static bool IsOfTheNetwork(Exception exception) =>
        exception is HttpRequestException or (IOException and not InvalidProtocolBufferException) or SocketException or ObjectDisposedException
            or OperationCanceledException;

    private static bool IsNotConnected(Exception exception) =>
        exception is DialException || (exception.InnerException is { } inner && IsNotConnected(inner));

    private static string Describe(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case SocketException socket:
                    return $"{socket.Message.ToLowerInvariant()} ({socket.SocketErrorCode})";
                case DialException { InnerException: OperationCanceledException }:
                    return "no connection in time";
                case OperationCanceledException:
                    return "the connection was given up";
                case ObjectDisposedException:
                    return "the peer closed the connection";
                case TlsFilesException:
                    return e.Message;
                case AuthenticationException:
                    return $"TLS failed: {(e.InnerException ?? e).Message}";
                case HttpProtocolException { ErrorCode: HttpOneRequired }:
                    return "the peer speaks HTTP/1.1 only: a web server or a proxy listens there, not etcd";
                case HttpProtocolException protocol:
                    // One code has several causes: who speaks no HTTP/2 and who answers no ping have PROTOCOL_ERROR both.
                    return protocol.Message.Replace($" ({nameof(HttpRequestError.HttpProtocolError)})", "", StringComparison.Ordinal).TrimEnd('.');
            }
        }

        return exception is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.VersionNegotiationError }
            ? "the peer does not speak HTTP/2 there"
            : exception.GetBaseException().Message;
    }
}
