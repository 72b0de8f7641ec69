using System.Net;
using System.Net.Sockets;

namespace Discovery.FieldTests.Support;

/// <summary>Answers the first bytes of each connection with bytes, and closes it.</summary>
internal sealed class RawServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<byte[], byte[]> _answer;
    private readonly Task _accepting;
    private int _connections;

    /// <param name="answer">The answer to what was received.</param>
    public RawServer(Func<byte[], byte[]> answer)
    {
        _answer = answer;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Address => _listener.LocalEndpoint.ToString()!;

    /// <summary>How many there were.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                serving.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            Interlocked.Increment(ref _connections);
            try
            {
                var stream = client.GetStream();
                var buffer = new byte[16 * 1024];
                var received = await stream.ReadAsync(buffer, _stop.Token);
                await stream.WriteAsync(_answer(buffer[..received]), _stop.Token);
                client.Client.Shutdown(SocketShutdown.Send);

                // Or what was not read has the system cut off what was written.
                while (await stream.ReadAsync(buffer, _stop.Token) > 0)
                {
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
            {
                // One of the two had enough.
            }
        }
    }
}
