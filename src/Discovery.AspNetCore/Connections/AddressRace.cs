using System.Net;
using System.Net.Sockets;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Connects to one of several addresses of a host. The first that answers is taken, and a silent one delays the next by a moment only
/// ("happy eyeballs", RFC 8305).
/// </summary>
internal static class AddressRace
{
    private static readonly TimeSpan Stagger = TimeSpan.FromMilliseconds(200);

    /// <exception cref="SocketException">None could be connected to; the last failure.</exception>
    public static async Task<Socket> ConnectAsync(IReadOnlyList<IPAddress> addresses, int port, CancellationToken cancellationToken)
    {
        if (addresses.Count == 1)
        {
            return await ConnectAsync(addresses[0], port, cancellationToken).ConfigureAwait(false);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var waiting = new Queue<IPAddress>(Alternate(addresses));
        var running = new List<Task<Socket>>();
        try
        {
            while (true)
            {
                if (waiting.TryDequeue(out var address))
                {
                    running.Add(ConnectAsync(address, port, stop.Token));
                }

                var first = await FirstAsync(running, waiting.Count > 0, stop.Token).ConfigureAwait(false);
                if (first is null)
                {
                    continue;
                }

                running.Remove(first);
                if (first.IsCompletedSuccessfully || (running.Count == 0 && waiting.Count == 0))
                {
                    return await first.ConfigureAwait(false);
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            foreach (var loser in running)
            {
                _ = CloseAsync(loser);
            }
        }
    }

    /// <summary>The addresses in the order of the resolver, but with families by turns: one of them may have no route at all.</summary>
    public static IEnumerable<IPAddress> Alternate(IReadOnlyList<IPAddress> addresses)
    {
        var first = addresses.Where(a => a.AddressFamily == addresses[0].AddressFamily).ToArray();
        var second = addresses.Where(a => a.AddressFamily != addresses[0].AddressFamily).ToArray();
        for (var i = 0; i < Math.Max(first.Length, second.Length); i++)
        {
            if (i < first.Length)
            {
                yield return first[i];
            }

            if (i < second.Length)
            {
                yield return second[i];
            }
        }
    }

    /// <summary>The attempt that ended first, or null when it is time for the next address.</summary>
    private static async Task<Task<Socket>?> FirstAsync(List<Task<Socket>> running, bool hasNext, CancellationToken cancellationToken)
    {
        var ended = Task.WhenAny(running);
        if (!hasNext)
        {
            return await ended.ConfigureAwait(false);
        }

        try
        {
            return await ended.WaitAsync(Stagger, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    private static async Task<Socket> ConnectAsync(IPAddress address, int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            SocketSettings.Apply(socket);
            await socket.ConnectAsync(new IPEndPoint(address, port), cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Another address was quicker, so this attempt's failure is of no interest.</summary>
    private static async Task CloseAsync(Task<Socket> loser)
    {
        await ((Task)loser).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (loser.IsCompletedSuccessfully)
        {
            (await loser.ConfigureAwait(false)).Dispose();
        }
    }
}
