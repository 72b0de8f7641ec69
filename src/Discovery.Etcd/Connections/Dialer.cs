using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Discovery.Etcd.Connections;

/// <summary>
/// Connects to a name at whichever of its addresses answers first. Each address gets a short head start before the next one, of the other
/// family where there is one, is tried beside it (RFC 8305): a dead first address costs a moment and not the connection. A later connection
/// of the same kind begins after the address of the last one, which may be that of a member which accepts connections and does not serve.
/// </summary>
/// <param name="resolver">Finds the addresses of a name.</param>
/// <param name="time">The clock.</param>
internal sealed class Dialer(HostResolver resolver, TimeProvider time)
{
    private static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(200);

    private readonly ConcurrentDictionary<(DnsEndPoint Target, CallKind Kind), IPAddress> _last = new();

    /// <summary>Connects.</summary>
    /// <param name="target">The name, or an address, and the port.</param>
    /// <param name="kind">What for: calls and streams have connections of their own.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SocketException">The name has no address, or none that answers.</exception>
    public async Task<Socket> ConnectAsync(DnsEndPoint target, CallKind kind, CancellationToken cancellationToken)
    {
        var addresses = await resolver.ResolveAsync(target.Host, cancellationToken).ConfigureAwait(false);
        var left = new Queue<IPAddress>(After(_last.GetValueOrDefault((target, kind)), [.. Alternate(addresses)]));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = new List<Task<(Socket Socket, IPAddress Address)>>();
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
                    (var socket, _last[(target, kind)]) = await ended.ConfigureAwait(false);
                    return socket;
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

    // The same circle of addresses, from the one after the last on.
    private static IEnumerable<IPAddress> After(IPAddress? last, IPAddress[] addresses)
    {
        var start = last is null ? 0 : Array.IndexOf(addresses, last) + 1;
        return addresses.Skip(start).Concat(addresses.Take(start));
    }

    private static async Task<(Socket Socket, IPAddress Address)> ConnectAsync(IPAddress address, int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, port, cancellationToken).ConfigureAwait(false);
            return (socket, address);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // Until one of them ended, or it is the next address's turn.
    private async Task<bool> HasEndedAsync(List<Task<(Socket, IPAddress)>> running, bool hasMore, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var turn = Task.Delay(hasMore ? HeadStart : Timeout.InfiniteTimeSpan, time, enough.Token);
        var first = await Task.WhenAny([turn, .. running]).ConfigureAwait(false);
        await enough.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return first != turn;
    }

    private static async Task DisposeAsync(Task<(Socket Socket, IPAddress)> late)
    {
        try
        {
            (await late.ConfigureAwait(false)).Socket.Dispose();
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // It never connected.
        }
    }
}
