using System.Net.Sockets;

namespace Discovery.FieldTests.Support;

/// <summary>Answers the first bytes of each connection with bytes, and closes it.</summary>
/// <param name="answer">The answer to what was received.</param>
internal sealed class RawServer(Func<byte[], byte[]> answer) : TcpServer
{
    private int _connections;

    /// <summary>How many there were.</summary>
    public int Connections => Volatile.Read(ref _connections);

    protected override async Task ServeAsync(TcpClient client, CancellationToken stop)
    {
        Interlocked.Increment(ref _connections);
        var stream = client.GetStream();
        var buffer = new byte[16 * 1024];
        var received = await stream.ReadAsync(buffer, stop);
        await stream.WriteAsync(answer(buffer[..received]), stop);
        client.Client.Shutdown(SocketShutdown.Send);

        // Or what was not read has the system cut off what was written.
        while (await stream.ReadAsync(buffer, stop) > 0)
        {
        }
    }
}
