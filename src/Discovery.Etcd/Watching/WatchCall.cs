using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Watching;

/// <summary>The wire under a watch stream: one call on the endpoint's connection for streams.</summary>
internal sealed class WatchCall : IDisposable
{
    /// <summary>The operation as errors name it.</summary>
    public const string Operation = OperationNames.Watch;

    private readonly EtcdErrors _errors;
    private readonly EtcdConnection _connection;
    private readonly DuplexCall<WatchRequest, WatchResponse> _call;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;
    private bool _isClosed;

    public WatchCall(EtcdEndpoint endpoint, string? token, EtcdErrors errors)
    {
        _errors = errors;
        Endpoint = endpoint;
        Token = token;
        _closed = _closing.Token;
        _connection = endpoint.Streams.Rent();
        _call = new(new Protocol.Watch.WatchClient(_connection.Invoker).Watch(CallHeaders.OfStream(token)));
    }

    public EtcdEndpoint Endpoint { get; }

    /// <summary>The token that the call was opened with.</summary>
    public string? Token { get; }

    /// <summary>Why the call ended, once <see cref="ReadAsync"/> gave <see langword="null"/>.</summary>
    public StreamEnd? End { get; private set; }

    /// <summary>Queues a request. Lost when the call ends first, which the reader notices.</summary>
    public void Send(WatchRequest request) => _call.Send(request);

    /// <summary>Reads the next response.</summary>
    /// <returns>The response, or <see langword="null"/> when the call ended.</returns>
    public async Task<WatchResponse?> ReadAsync()
    {
        try
        {
            if (await _call.ReadAsync(_closed).ConfigureAwait(false) is { } response)
            {
                return response;
            }

            End = Ended(new CallFailedException(StatusCode.Unavailable, "etcd ended the stream", CallFailureKind.Connection));
        }
        catch (CallFailedException e)
        {
            End = Ended(e);
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            End = StreamEnd.Planned("it was closed");
        }

        return null;
    }

    /// <summary>Ends the call and gives its connection back.</summary>
    /// <param name="outcome">What the call says of the connection.</param>
    /// <param name="replacesConnection">Whether the next call dials anew: another member may answer behind the same address.</param>
    public void Close(CallOutcome outcome, bool replacesConnection = false)
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        _closing.Cancel();
        _closing.Dispose();
        _call.Dispose();
        if (replacesConnection)
        {
            Endpoint.Streams.Replace(_connection);
        }

        Endpoint.Streams.Return(_connection, outcome);
    }

    public void Dispose() => Close(CallOutcome.Unknown);

    private StreamEnd Ended(CallFailedException e) => new(KindOf(e), e.Detail, _errors.StreamEnded(Operation, Endpoint.Name, e));

    private static StreamEndKind KindOf(CallFailedException e) => e switch
    {
        { Kind: not CallFailureKind.Status } => StreamEndKind.Broken,
        { WantsNewToken: true } => StreamEndKind.TokenInvalid,
        { IsTransient: true } => StreamEndKind.Unavailable,
        _ => StreamEndKind.Rejected,
    };
}
