using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>The requests of a call as its handler reads them; ends with the handler.</summary>
internal sealed class RequestStream<T>(ServerCall call, RequestReader<T> reader) : IAsyncStreamReader<T>, IDisposable
    where T : class
{
    private volatile bool _ended;

    public T Current { get; private set; } = null!;

    public Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<bool>(cancellationToken);
        }

        return _ended || call.RequestAborted.IsCancellationRequested
            ? Task.FromException<bool>(new InvalidOperationException("Can't read messages after the request is complete."))
            : MoveNextCoreAsync(cancellationToken);
    }

    public void Dispose() => _ended = true;

    private async Task<bool> MoveNextCoreAsync(CancellationToken cancellationToken)
    {
        // Nothing holds the last message while the next one is awaited, perhaps for hours.
        Current = null!;
        var message = await reader.ReadAsync(cancellationToken);
        Current = message!;
        return message is not null;
    }
}
