using Grpc.Core;
using Grpc.Net.Client.Responses;

namespace Grpc.Net.Client.Calls;

/// <summary>Reads the responses of a call.</summary>
internal sealed class ClientStreamReader<TRequest, TResponse>(TypedCall<TRequest, TResponse> call) : IAsyncStreamReader<TResponse>
    where TRequest : class
    where TResponse : class
{
    private readonly TaskCompletionSource<HttpResponseMessage> _response = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private Task<bool> _lastMove = Task.FromResult(true);
    private ResponseReader<TResponse>? _reader;

    public TResponse Current { get; private set; } = null!;

    public void Start(HttpResponseMessage response) => _response.TrySetResult(response);

    public void Cancel() => _response.TrySetCanceled();

    public Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(call.Disposed, call);
        if (call.Completion.IsCompletedSuccessfully)
        {
            return Ended(call.Completion.Result);
        }

        lock (_lock)
        {
            return _lastMove.IsCompleted
                ? _lastMove = MoveNextCoreAsync(cancellationToken)
                : Task.FromException<bool>(new InvalidOperationException("Can't read the next message because the previous read is still in progress."));
        }
    }

    private Task<bool> Ended(Status status)
    {
        if (call.CancellationToken.IsCancellationRequested)
        {
            return call.Channel.ThrowOperationCanceled
                ? Task.FromCanceled<bool>(call.GetCancelledToken(CancellationToken.None))
                : Task.FromException<bool>(call.ToException(status));
        }

        return status.StatusCode == StatusCode.OK ? Task.FromResult(false) : Task.FromException<bool>(call.ToException(status));
    }

    private async Task<bool> MoveNextCoreAsync(CancellationToken cancellationToken)
    {
        using var registration = call.CancelWith(cancellationToken);
        try
        {
            return await ReadAsync();
        }
        catch (OperationCanceledException cancelled)
        {
            return await EndCancelledAsync(call.WithCallersToken(cancelled, cancellationToken));
        }
        catch (Exception failure)
        {
            var (status, exception) = call.Resolve("Error reading next message.", failure);
            call.EndResponses(status, atItsEnd: false);
            if (exception == failure)
            {
                throw;
            }

            throw exception;
        }
    }

    private async Task<bool> ReadAsync()
    {
        call.CancellationToken.ThrowIfCancellationRequested();
        var response = await _response.Task;
        try
        {
            _reader ??= await call.OpenAsync(response);
        }
        catch (ObjectDisposedException)
        {
            // The call ended before its body was opened.
            throw new OperationCanceledException();
        }

        // Nothing holds the last message while the next one is awaited, perhaps for hours.
        Current = null!;
        if (await _reader.ReadAsync(call.CancellationToken) is { } message)
        {
            Current = message;
            return true;
        }

        var status = ResponseHead.GetFinalStatus(response);
        call.EndResponses(status, atItsEnd: true);
        return status.StatusCode == StatusCode.OK ? false : throw call.ToCancelledException(status);
    }

    private async Task<bool> EndCancelledAsync(OperationCanceledException cancelled)
    {
        if (!call.ResponseFinished)
        {
            call.EndResponses(new Status(StatusCode.Cancelled, cancelled.Message, cancelled), atItsEnd: false);
        }
        else
        {
            var status = await call.Completion;
            if (status.StatusCode == StatusCode.OK)
            {
                return false;
            }

            if (status.StatusCode is not (StatusCode.Cancelled or StatusCode.DeadlineExceeded))
            {
                throw call.ToException(status);
            }
        }

        throw call.ToException(cancelled);
    }
}
