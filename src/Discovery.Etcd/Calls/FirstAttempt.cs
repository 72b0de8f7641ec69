using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>
/// The first attempt of an operation, at an endpoint in good order. Nearly every operation is answered by it, and so it has none of what limits,
/// second sends and failing over take. One that fails, or is not answered in time, becomes the first of an <see cref="OperationRun{T}"/>.
/// </summary>
internal sealed class FirstAttempt<TRequest, TResponse> : UnansweredCall
    where TRequest : class
    where TResponse : class
{
    private readonly Failover _failover;
    private readonly TokenSource? _tokens;
    private readonly Method<TRequest, TResponse> _method;
    private readonly TRequest _request;
    private readonly CancellationToken _cancellationToken;
    private readonly EtcdConnection _connection;
    private readonly AsyncUnaryCall<TResponse> _call;

    // Second sends belong to the trace of the first.
    private readonly ExecutionContext? _context = ExecutionContext.Capture();

    private Task<TResponse>? _continued;

    private FirstAttempt(
        Failover failover, EtcdEndpoint endpoint, TokenSource? tokens, string? token, Method<TRequest, TResponse> method, TRequest request,
        CancellationToken cancellationToken)
        : base(endpoint, token, failover.Time.GetTimestamp(), failover.Pool.Term)
    {
        (_failover, _tokens, _method, _request, _cancellationToken) = (failover, tokens, method, request, cancellationToken);
        _connection = endpoint.Calls.Rent();
        try
        {
            _call = _connection.Invoker.AsyncUnaryCall(
                method, null, new CallOptions(token is null ? null : CallHeaders.Of(token), cancellationToken: cancellationToken), request);
        }
        catch
        {
            endpoint.Calls.Return(_connection, CallOutcome.Unknown);
            throw;
        }
    }

    /// <summary>Makes the attempt, unless something is to be found out first: the token, or to which cluster the endpoint belongs.</summary>
    /// <param name="failover">What goes on with it if need be.</param>
    /// <param name="tokens">Where the token comes from; <see langword="null"/> for the operation that fetches tokens.</param>
    /// <param name="method">The method.</param>
    /// <param name="request">What to send.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <returns>The attempt; <see langword="null"/> where it was not made.</returns>
    /// <exception cref="ObjectDisposedException">The client was disposed.</exception>
    public static FirstAttempt<TRequest, TResponse>? TryMake(
        Failover failover, TokenSource? tokens, Method<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
    {
        string? token = null;
        if (cancellationToken.IsCancellationRequested || tokens?.TryGet(out token) == false)
        {
            return null;
        }

        var endpoint = failover.Pool.Choose([]);
        return failover.Cluster.IsUnknown(endpoint) ? null : new(failover, endpoint, tokens, token, method, request, cancellationToken);
    }

    /// <summary>Waits for the end of the operation.</summary>
    /// <exception cref="EtcdException">It failed everywhere, or etcd refused.</exception>
    public async Task<TResponse> RunAsync()
    {
        if (_failover.Unanswered.Add(this))
        {
            // The call ends by itself, at the caller's cancellation, or because it was taken over and is not needed any more.
            await ((Task)_call.ResponseAsync).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!_failover.Unanswered.Remove(this))
            {
                return await _continued!.ConfigureAwait(false);
            }

            if (_call.ResponseAsync is { IsCompletedSuccessfully: true, Result: var response } && _failover.ClusterCheck.Accepts(Endpoint, (response as IHeadedResponse)?.Header, SentAt))
            {
                OnAnswered();
                return response;
            }
        }

        return await ContinueAsync().ConfigureAwait(false);
    }

    public override void TakeOver()
    {
        if (_context is null)
        {
            Begin(this);
        }
        else
        {
            ExecutionContext.Run(_context, Begin, this);
        }

        static void Begin(object? state)
        {
            var self = (FirstAttempt<TRequest, TResponse>)state!;
            self._continued = Task.Run(self.ContinueAsync);
        }
    }

    private void OnAnswered()
    {
        Endpoint.Calls.Return(_connection, CallOutcome.Answered);
        Endpoint.CallHealth.Succeeded();
        _failover.Budget.Succeeded(isHedgeWon: false);
        if (_failover.Metrics is { MeasuresAttempts: true } metrics)
        {
            metrics.OnAttempt(_method.Name, Endpoint.Address, error: null, _failover.Time.GetElapsedTime(SentAt));
        }
    }

    private Task<TResponse> ContinueAsync() => _failover.ContinueAsync(
        new Operation { Name = _method.Name, Tokens = _tokens },
        attempt => new AttemptInvoker(attempt).CallAsync(_method, _request, default, onAnswered: null),
        this,
        attempt => new AttemptInvoker(attempt).AdoptAsync(_connection, _call),
        _cancellationToken);
}
