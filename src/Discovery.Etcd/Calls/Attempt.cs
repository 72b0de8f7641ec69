using Discovery.Etcd.Connections;

namespace Discovery.Etcd.Calls;

/// <summary>One attempt of an operation at one endpoint.</summary>
/// <param name="endpoint">The endpoint.</param>
/// <param name="token">The auth token to send, if any.</param>
/// <param name="limit">How long the endpoint may be silent.</param>
/// <param name="time">The clock.</param>
/// <param name="total">Ends the operation.</param>
internal sealed class Attempt(
    EtcdEndpoint endpoint, string? token, TimeSpan limit, TimeProvider time, CancellationToken total) : IDisposable
{
    private readonly CancellationTokenSource _silence = new(limit, time);
    private CancellationTokenSource? _linked;

    public EtcdEndpoint Endpoint => endpoint;

    public string? Token => token;

    public TimeSpan Limit => limit;

    /// <summary>Whether the endpoint did not begin to answer within the limit.</summary>
    public bool WasSilent => _silence.IsCancellationRequested;

    /// <summary>Ends the attempt.</summary>
    public CancellationToken CancellationToken => (_linked ??= CancellationTokenSource.CreateLinkedTokenSource(_silence.Token, total)).Token;

    /// <summary>The endpoint has begun to answer: the rest may take what is left of the operation's total.</summary>
    public void Answering() => _silence.CancelAfter(Timeout.InfiniteTimeSpan);

    public void Dispose()
    {
        _linked?.Dispose();
        _silence.Dispose();
    }
}
