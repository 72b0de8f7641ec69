using Grpc.Core;
using Grpc.Net.Client.Requests;

namespace Grpc.Net.Client.Calls;

/// <summary>Writes the requests of a call.</summary>
internal sealed class ClientStreamWriter<TRequest, TResponse>(TypedCall<TRequest, TResponse> call, MessageStreamContent content)
    : IClientStreamWriter<TRequest>
    where TRequest : class
    where TResponse : class
{
    private readonly Lock _lock = new();
    private Task _lastWrite = Task.CompletedTask;
    private bool _completed;

    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(TRequest message) => WriteAsync(message, CancellationToken.None);

    public Task WriteAsync(TRequest message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        ObjectDisposedException.ThrowIf(call.Disposed, call);
        lock (_lock)
        {
            if (_completed)
            {
                return Task.FromException(new InvalidOperationException("Request stream has already been completed."));
            }

            if (call.Completion.IsCompletedSuccessfully)
            {
                return Ended(call.Completion.Result, cancellationToken);
            }

            if (!_lastWrite.IsCompleted)
            {
                return Task.FromException(new InvalidOperationException("Can't write the message because the previous write is in progress."));
            }

            return _lastWrite = WriteCoreAsync(message, cancellationToken);
        }
    }

    public Task CompleteAsync()
    {
        ObjectDisposedException.ThrowIf(call.Disposed, call);
        lock (_lock)
        {
            if (!_lastWrite.IsCompleted)
            {
                return Task.FromException(
                    new InvalidOperationException("Can't complete the client stream writer because the previous write is in progress."));
            }

            _completed = true;
            content.Complete();
            return Task.CompletedTask;
        }
    }

    private Task Ended(Status status, CancellationToken cancellationToken)
        => call.CancellationToken.IsCancellationRequested
            && call.Channel.ThrowOperationCanceled
            && status.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded
            ? Task.FromCanceled(call.GetCancelledToken(cancellationToken))
            : Task.FromException(call.ToException(status));

    private async Task WriteCoreAsync(TRequest message, CancellationToken cancellationToken)
    {
        using var registration = call.CancelWith(cancellationToken);
        try
        {
            var stream = await content.Stream;
            await call.WriteAsync(stream, message);
            await stream.FlushAsync(call.CancellationToken);
        }
        catch (OperationCanceledException cancelled)
        {
            throw call.ToException(call.WithCallersToken(cancelled, cancellationToken));
        }
    }
}
