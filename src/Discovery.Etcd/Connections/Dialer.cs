using System.Net;
using System.Net.Sockets;

namespace Discovery.Etcd.Connections;

/// <summary>
/// Connects to a name at whichever of its addresses answers first. Each address gets a short head start before the next one, of the other
/// family where there is one, is tried beside it (RFC 8305): a dead first address costs a moment and not the connection.
/// </summary>
/// <param name="resolveAsync">Finds the addresses of a name.</param>
/// <param name="time">The clock.</param>
internal sealed class Dialer(Func<string, CancellationToken, Task<IPAddress[]>> resolveAsync, TimeProvider time)
{
    private static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(200);

    /// <summary>Connects.</summary>
    /// <exception cref="SocketException">The name has no address, or none that answers.</exception>
    public async Task<Socket> ConnectAsync(DnsEndPoint target, CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(target.Host, out var literal)
            ? [literal]
            : await resolveAsync(target.Host, cancellationToken).ConfigureAwait(false);
        var left = new Queue<IPAddress>(Alternate(addresses));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = new List<Task<Socket>>();
        Exception failure = new SocketException((int)SocketError.HostNotFound);
        try
        {
            while (left.Count > 0 || running.Count > 0)
            {
                if (left.TryDequeue(out var address))
                {
                    running.Add(ConnectAsync(address, target.Port, end.Token));
                }

                if (!await HasEndedAsync(running, left.Count > 0, end.Token).ConfigureAwait(false))
                {
                    continue;
                }

                var ended = running.Find(r => r.IsCompleted)!;
                running.Remove(ended);
                try
                {
                    return await ended.ConfigureAwait(false);
                }
                catch (SocketException e)
                {
                    failure = e;
                }
            }

            throw failure;
        }
        finally
        {
            end.Cancel();
            running.ForEach(r => _ = DisposeAsync(r));
        }
    }

    // The addresses as the resolver ordered them, one of each family in turn.
    private static IEnumerable<IPAddress> Alternate(IPAddress[] addresses)
    {
        var families = addresses.GroupBy(a => a.AddressFamily).Select(g => g.ToArray()).ToArray();
        for (var i = 0; i < addresses.Length; i++)
        {
            foreach (var family in families.Where(f => i < f.Length))
            {
                yield return family[i];
            }
        }
    }

    private static async Task<Socket> ConnectAsync(IPAddress address, int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, port, cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // Until one of them ended, or it is the next address's turn.
    private async Task<bool> HasEndedAsync(List<Task<Socket>> running, bool hasMore, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var turn = Task.Delay(hasMore ? HeadStart : Timeout.InfiniteTimeSpan, time, enough.Token);
        var first = await Task.WhenAny([turn, .. running]).ConfigureAwait(false);
        await enough.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return first != turn;
    }

    private static async Task DisposeAsync(Task<Socket> late)
    {
        try
        {
            (await late.ConfigureAwait(false)).Dispose();
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // It never connected.
        }
    }
}
