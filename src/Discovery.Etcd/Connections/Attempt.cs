namespace Discovery.Etcd.Connections;

/// <summary>One attempt of an operation at one endpoint.</summary>
/// <param name="endpoint">The endpoint.</param>
/// <param name="token">The auth token to send, if any.</param>
/// <param name="limit">How long the endpoint may be silent.</param>
/// <param name="timeLeft">What is left of the operation's total.</param>
/// <param name="time">The clock.</param>
/// <param name="total">Ends the operation.</param>
internal sealed class Attempt(
    EtcdEndpoint endpoint, string? token, TimeSpan limit, TimeSpan timeLeft, TimeProvider time, CancellationToken total) : IDisposable
{
    private readonly CancellationTokenSource _silence = new(limit, time);
    private CancellationTokenSource? _linked;

    /// <summary>The endpoint that answers for the outcome. An operation that runs on a stream opened earlier puts that stream's here.</summary>
    public EtcdEndpoint Endpoint { get; set; } = endpoint;

    public string? Token => token;

    public TimeSpan Limit => limit;

    public TimeSpan TimeLeft => timeLeft;

    /// <summary>Whether the endpoint was silent for too long.</summary>
    public bool WasSilent => _silence.IsCancellationRequested;

    /// <summary>Ends the attempt.</summary>
    public CancellationToken CancellationToken => (_linked ??= CancellationTokenSource.CreateLinkedTokenSource(_silence.Token, total)).Token;

    /// <summary>Notes that the endpoint is answering: a long answer may take longer than the limit, a silent peer may not.</summary>
    public void Progress() => _silence.CancelAfter(limit);

    public void Dispose()
    {
        _linked?.Dispose();
        _silence.Dispose();
    }
}
