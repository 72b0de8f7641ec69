using System.Net;
using System.Net.Sockets;

namespace Discovery.TestKit;

/// <summary>One connection through a <see cref="TcpProxy"/>.</summary>
internal sealed class TcpProxyConnection(TcpProxy proxy, Socket client) : IDisposable
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    private readonly Socket _server = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private int _cutAfter = -1;

    public bool IsBlackhole { get; set; }

    public void Cut()
    {
        // Zero: a reset, not an orderly end.
        client.Close(0);
        _server.Close(0);
    }

    public void CutAfter(int bytes) => Volatile.Write(ref _cutAfter, bytes);

    public async Task RunAsync(int target, CancellationToken cancellationToken)
    {
        client.NoDelay = true;
        try
        {
            await _server.ConnectAsync(IPAddress.Loopback, target, cancellationToken);
            await Task.WhenAny(
                PumpAsync(client, _server, () => proxy.BlackholesRequests, isResponse: false, cancellationToken),
                PumpAsync(_server, client, () => proxy.BlackholesResponses, isResponse: true, cancellationToken));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The target is away, or the proxy ended.
        }

        Cut();
    }

    public void Dispose() => Cut();

    private async Task PumpAsync(Socket from, Socket to, Func<bool> isHeld, bool isResponse, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            int read;
            while ((read = await from.ReceiveAsync(buffer, cancellationToken)) > 0)
            {
                if (proxy.Delay > TimeSpan.Zero)
                {
                    await Task.Delay(proxy.Delay, cancellationToken);
                }

                while (isHeld() || IsBlackhole)
                {
                    await Task.Delay(Step, cancellationToken);
                }

                if (!isResponse)
                {
                    proxy.Record(buffer.AsSpan(0, read));
                }

                var allowed = isResponse ? Math.Min(read, Allowed()) : read;
                await to.SendAsync(buffer.AsMemory(0, allowed), cancellationToken);
                if (allowed < read)
                {
                    return;
                }

                Spend(isResponse ? read : 0);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Either side went away: the other one is cut too.
        }
    }

    private int Allowed() => Volatile.Read(ref _cutAfter) is >= 0 and var left ? left : int.MaxValue;

    private void Spend(int bytes)
    {
        if (Volatile.Read(ref _cutAfter) >= 0)
        {
            Interlocked.Add(ref _cutAfter, -bytes);
        }
    }
}
