using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>A unary call of a user's own stub, however many attempts it takes, as gRPC shows calls.</summary>
internal sealed class UserCall<TResponse>
    where TResponse : class
{
    private readonly CancellationTokenSource _disposed;
    private readonly CancellationToken _cancellationToken;
    private readonly TaskCompletionSource<Metadata> _headers = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task<TResponse> _response;
    private (Status Status, Metadata Trailers)? _end;

    /// <summary>Starts the call.</summary>
    /// <param name="attemptAsync">Makes one attempt.</param>
    /// <param name="runAsync">Makes attempts until one succeeds.</param>
    /// <param name="cancellationToken">The user's own.</param>
    public UserCall(
        Func<Attempt, Action<AsyncUnaryCall<TResponse>, Metadata>, Task<TResponse>> attemptAsync,
        Func<Func<Attempt, Task<TResponse>>, CancellationToken, Task<TResponse>> runAsync,
        CancellationToken cancellationToken)
    {
        _cancellationToken = cancellationToken;
        _disposed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _response = RunAsync(attemptAsync, runAsync);
    }

    public AsyncUnaryCall<TResponse> ToAsyncUnaryCall() => new(_response, _headers.Task, () => End.Status, () => End.Trailers, Dispose);

    private (Status Status, Metadata Trailers) End => _end ?? throw new InvalidOperationException("The call is not complete.");

    private async Task<TResponse> RunAsync(
        Func<Attempt, Action<AsyncUnaryCall<TResponse>, Metadata>, Task<TResponse>> attemptAsync,
        Func<Func<Attempt, Task<TResponse>>, CancellationToken, Task<TResponse>> runAsync)
    {
        try
        {
            return await runAsync(attempt => attemptAsync(attempt, OnAnswered), _disposed.Token).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            throw Failed(e);
        }
        catch (ObjectDisposedException e)
        {
            // The client was disposed. Who waits for the headers must hear of it too.
            _end = (new Status(StatusCode.Cancelled, e.Message, e), Metadata.Empty);
            _headers.TrySetException(e);
            _ = _headers.Task.Exception;
            throw;
        }
        catch (OperationCanceledException e)
        {
            // As gRPC's own calls end: cancelled by their user, or disposed.
            var detail = _cancellationToken.IsCancellationRequested ? "Call canceled by the client." : "gRPC call disposed.";
            throw Failed(new RpcException(new Status(StatusCode.Cancelled, detail, e)));
        }
        finally
        {
            _disposed.Dispose();
        }
    }

    private void OnAnswered(AsyncUnaryCall<TResponse> call, Metadata headers)
    {
        _end = (call.GetStatus(), call.GetTrailers());
        _headers.TrySetResult(headers);
    }

    private RpcException Failed(RpcException error)
    {
        _end = (error.Status, error.Trailers);
        _headers.TrySetException(error);

        // Few look at the headers; nobody is to hear of an exception that nobody looked at.
        _ = _headers.Task.Exception;
        return error;
    }

    private void Dispose()
    {
        try
        {
            _disposed.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call is complete.
        }
    }
}
