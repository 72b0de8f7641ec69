using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Leasing;

/// <summary>One stream of lease renewals at one endpoint, until it breaks.</summary>
internal sealed class KeepAliveStream : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, Queue<TaskCompletionSource<LeaseKeepAliveResponse>>> _waiting = [];
    private readonly CancellationTokenSource _disposed = new();
    private readonly DuplexCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse> _call;
    private CallOutcome _outcome;
    private bool _ended;
    private Exception? _end;

    /// <summary>Opens the stream.</summary>
    /// <param name="endpoint">Where.</param>
    /// <param name="token">etcd's auth token, if any.</param>
    /// <param name="onSecondConnection">Whether another stream there does not answer.</param>
    public KeepAliveStream(EtcdEndpoint endpoint, string? token, bool onSecondConnection = false)
    {
        Endpoint = endpoint;
        Connection = onSecondConnection ? endpoint.Streams.RentSecond() : endpoint.Streams.Rent();
        _call = new(new Lease.LeaseClient(Connection.Invoker).LeaseKeepAlive(CallHeaders.OfStream(token)));
        _ = ReadAllAsync();
    }

    public EtcdEndpoint Endpoint { get; }

    /// <summary>What it was opened on.</summary>
    public EtcdConnection Connection { get; }

    public bool IsOpen
    {
        get
        {
            lock (_gate)
            {
                return !_ended;
            }
        }
    }

    /// <summary>Asks for a renewal.</summary>
    /// <exception cref="CallFailedException">The stream broke.</exception>
    public Task<LeaseKeepAliveResponse> RenewAsync(long leaseId, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<LeaseKeepAliveResponse>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_end is not null)
            {
                return Task.FromException<LeaseKeepAliveResponse>(_end);
            }

            if (!_waiting.TryGetValue(leaseId, out var queue))
            {
                _waiting.Add(leaseId, queue = new());
            }

            queue.Enqueue(answer);
        }

        _call.Send(new LeaseKeepAliveRequest { ID = leaseId });
        return answer.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Ends the stream.</summary>
    /// <param name="outcome">What it says of its connection.</param>
    public void End(CallOutcome outcome)
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _ended = true;
            _outcome = outcome;
        }

        // Whoever ends it must not run the continuations of those who wait.
        _ = _disposed.CancelAsync();
    }

    public void Dispose() => End(CallOutcome.Unknown);

    private async Task ReadAllAsync()
    {
        Exception end = new CallFailedException(StatusCode.Unavailable, "etcd ended the stream of lease renewals", CallFailureKind.Connection);
        try
        {
            while (await _call.ReadAsync(_disposed.Token).ConfigureAwait(false) is { } response)
            {
                Answer(response);
            }
        }
        catch (CallFailedException e)
        {
            end = e;
        }
        catch (OperationCanceledException)
        {
            end = CallFailedException.Planned("the stream of lease renewals is opened anew");
        }

        Close(end);
    }

    private void Answer(LeaseKeepAliveResponse response)
    {
        lock (_gate)
        {
            _outcome = CallOutcome.Answered;
            if (_waiting.TryGetValue(response.ID, out var queue))
            {
                queue.Dequeue().TrySetResult(response);
                if (queue.Count == 0)
                {
                    _waiting.Remove(response.ID);
                }
            }
        }
    }

    private void Close(Exception end)
    {
        lock (_gate)
        {
            _ended = true;
            _end = end;
            foreach (var answer in _waiting.Values.SelectMany(q => q))
            {
                answer.TrySetException(end);

                // Who asked may have gone meanwhile; then nobody else looks at the exception.
                _ = answer.Task.Exception;
            }

            _waiting.Clear();
        }

        _call.Dispose();
        Endpoint.Streams.Return(Connection, _outcome);
    }
}
