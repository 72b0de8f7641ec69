using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>
/// Sends watch responses together where several are ready: all but the last, up to a size, only go into the connection's buffer.
/// </summary>
internal sealed class WatchWriter(IServerStreamWriter<WatchResponse> stream)
{
    // What is handed to the connection at once: it waits there for the client's window.
    private const int FlushThreshold = 64 * 1024;

    private static readonly WriteOptions Buffered = new(WriteFlags.BufferHint);

    // Held back until it is known whether another one follows.
    private WatchResponse? _last;
    private int _buffered;

    public async ValueTask WriteAsync(WatchResponse response)
    {
        if (_last is not null)
        {
            _buffered += _last.CalculateSize();
            await SendLastAsync(flush: _buffered > FlushThreshold).ConfigureAwait(false);
        }

        _last = response;
    }

    public ValueTask FlushAsync() => _last is null ? ValueTask.CompletedTask : SendLastAsync(flush: true);

    private async ValueTask SendLastAsync(bool flush)
    {
        var response = _last!;
        _last = null;
        if (flush)
        {
            _buffered = 0;
        }

        stream.WriteOptions = flush ? WriteOptions.Default : Buffered;
        // A token would reset the call; a write that waits for the client ends with the connection or the server.
        await stream.WriteAsync(response, CancellationToken.None).ConfigureAwait(false);
    }
}
