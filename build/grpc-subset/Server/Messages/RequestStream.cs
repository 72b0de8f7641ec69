using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>The requests of a call as its handler reads them; ends with the handler.</summary>
internal sealed class RequestStream<T>(ServerCall call, RequestReader<T> reader) : IAsyncStreamReader<T>, IDisposable
    where T : class
{
    private volatile bool _ended;

    public T Current { get; private set; } = null!;

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_ended || call.RequestAborted.IsCancellationRequested)
        {
            throw new InvalidOperationException("Can't read messages after the request is complete.");
        }

        // Nothing holds the last message while the next one is awaited, perhaps for hours.
        Current = null!;
        var message = await reader.ReadAsync(cancellationToken);
        Current = message!;
        return message is not null;
    }

    public void Dispose() => _ended = true;
}
