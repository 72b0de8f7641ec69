using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using Discovery.AspNetCore.Diagnostics.Metrics;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// A connection that counts as open until it is closed, by whoever owns it or by the garbage collector. It hears how the peer begins: a server
/// answers in the version of HTTP that it speaks, whatever it was asked in.
/// </summary>
internal sealed class CountedStream : NetworkStream
{
    private readonly ServiceMetrics? _metrics;
    private Action<byte>? _onFirstByte;
    private bool _isClosed;

    /// <param name="socket">The connection.</param>
    /// <param name="metrics">Where it counts.</param>
    /// <param name="onFirstByte">Called with the first byte that the peer sends.</param>
    public CountedStream(Socket socket, ServiceMetrics? metrics, Action<byte>? onFirstByte = null)
        : base(socket, ownsSocket: true)
    {
        _metrics = metrics;
        _onFirstByte = onFirstByte;
        metrics?.OnConnections(1);
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        => _onFirstByte is null || buffer.IsEmpty ? base.ReadAsync(buffer, cancellationToken) : ReadFirstAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var write = base.WriteAsync(buffer, cancellationToken);
        return write.IsCompletedSuccessfully ? write : AwaitAsync(write);
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (!Interlocked.Exchange(ref _isClosed, true))
        {
            _metrics?.OnConnections(-1);
        }
    }

    private async ValueTask<int> ReadFirstAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = await base.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        if (read > 0)
        {
            _onFirstByte?.Invoke(buffer.Span[0]);
            _onFirstByte = null;
        }

        return read;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AwaitAsync(ValueTask write)
    {
        try
        {
            await write.ConfigureAwait(false);
        }
        catch (IOException e) when (FindRefusal() is { } status)
        {
            throw new EarlyRefusalException(status, e);
        }
    }

    /// <summary>
    /// The status of the answer that lies unread where a write has failed, if it says that the request is wrong. Over TLS it cannot be seen, and HTTP/2
    /// ends a stream and not the connection.
    /// </summary>
    private string? FindRefusal()
    {
        try
        {
            Span<byte> start = stackalloc byte["HTTP/1.1 413".Length];
            return Socket.Available >= start.Length && Socket.Receive(start, SocketFlags.Peek) == start.Length && start.StartsWith("HTTP/1."u8) && start[^3] == '4'
                ? Encoding.ASCII.GetString(start[^3..])
                : null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }
}
