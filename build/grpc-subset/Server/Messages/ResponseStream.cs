using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>The responses of a call as its handler writes them; ends with the handler.</summary>
internal sealed class ResponseStream<T>(ServerCall call, ResponseWriter<T> writer) : IServerStreamWriter<T>, IDisposable
    where T : class
{
    private readonly Lock _lock = new();
    private Task _lastWrite = Task.CompletedTask;
    private volatile bool _ended;

    public WriteOptions? WriteOptions
    {
        get => call.WriteOptions;
        set => call.WriteOptions = value;
    }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        using var registration = cancellationToken.UnsafeRegister(static call => ((ServerCall)call!).Reset(), call);
        cancellationToken.ThrowIfCancellationRequested();
        if (_ended || call.RequestAborted.IsCancellationRequested)
        {
            throw new InvalidOperationException("Can't write the message because the request is complete.");
        }

        Task write;
        lock (_lock)
        {
            if (!_lastWrite.IsCompleted)
            {
                throw new InvalidOperationException("Can't write the message because the previous write is in progress.");
            }

            var flush = WriteOptions is null || !WriteOptions.Flags.HasFlag(WriteFlags.BufferHint);
            write = _lastWrite = writer.WriteAsync(message, flush, cancellationToken);
        }

        await write;
    }

    public void Dispose() => _ended = true;
}
