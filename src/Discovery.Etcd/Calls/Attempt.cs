using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Calls;

/// <summary>One attempt of an operation at one endpoint.</summary>
/// <param name="endpoint">The endpoint.</param>
/// <param name="token">The auth token to send, if any.</param>
/// <param name="limit">How long the endpoint may be silent.</param>
/// <param name="time">The clock.</param>
/// <param name="total">Ends the operation.</param>
/// <param name="startedAt">When it was made; default: now.</param>
internal sealed class Attempt(EtcdEndpoint endpoint, string? token, TimeSpan limit, TimeProvider time, CancellationToken total, long? startedAt = null) : IDisposable
{
    private readonly CancellationTokenSource _end = CancellationTokenSource.CreateLinkedTokenSource(total);
    private readonly long _startedAt = startedAt ?? time.GetTimestamp();
    private TimeSpan _limit = limit;

    public EtcdEndpoint Endpoint => endpoint;

    public string? Token => token;

    /// <summary>Whether it takes another connection, for one attempt on the first is unanswered.</summary>
    public bool UsesSecondConnection { get; init; }

    /// <summary>Whether it only asks how a member stands. That it answers on another connection is no reason to replace the first one.</summary>
    public bool IsProbe { get; init; }

    /// <summary>Whether another attempt at the endpoint is unanswered: a stream on which one waits holds up what follows.</summary>
    public bool IsBesideAnother { get; init; }

    /// <summary>What it was made on; <see langword="null"/> before.</summary>
    public EtcdConnection? Connection { get; set; }

    /// <summary>When it was made, as a timestamp.</summary>
    public long StartedAt => _startedAt;

    public TimeSpan Elapsed => time.GetElapsedTime(_startedAt);

    /// <summary>Whether the endpoint has begun to answer. The rest may take what is left of the operation's total: it may be large.</summary>
    public bool IsAnswering { get; private set; }

    /// <summary>Whether the endpoint had all the time it should need, and did not begin to answer.</summary>
    public bool IsSilent => !IsAnswering && Elapsed >= _limit;

    /// <summary>The header of the response, once there is one.</summary>
    public ResponseHeader? Header { get; private set; }

    /// <summary>What the attempt says of its connection.</summary>
    public CallOutcome Outcome => IsProbe && UsesSecondConnection ? CallOutcome.Unknown : IsAnswering ? CallOutcome.Answered : IsSilent ? CallOutcome.Silent : CallOutcome.Unknown;

    /// <summary>Ends the attempt.</summary>
    public CancellationToken CancellationToken => _end.Token;

    /// <summary>The endpoint has begun to answer.</summary>
    public void Answering() => IsAnswering = true;

    /// <summary>The endpoint answered.</summary>
    public void Answered(object response)
    {
        IsAnswering = true;
        Header = (response as IHeadedResponse)?.Header;
    }

    /// <summary>Nobody waits for it any more, because another one was answered.</summary>
    /// <param name="needed">How long that took: who had not clearly more time is not silent.</param>
    public void Abandon(TimeSpan needed)
    {
        if (_limit < 2 * needed)
        {
            _limit = 2 * needed;
        }

        _end.Cancel();
    }

    public void Dispose() => _end.Dispose();
}
