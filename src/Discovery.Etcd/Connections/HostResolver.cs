using System.Net;

namespace Discovery.Etcd.Connections;

/// <summary>Finds the addresses of host names.</summary>
/// <param name="resolveAsync">Asks the system, or whoever stands in for it.</param>
internal sealed class HostResolver(Func<string, CancellationToken, Task<IPAddress[]>> resolveAsync)
{
    /// <summary>Asks the system.</summary>
    public static HostResolver Default { get; } = new(Dns.GetHostAddressesAsync);

    /// <summary>Finds the addresses of a host; one that is an address itself is not asked for.</summary>
    /// <param name="host">The name or the address.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="System.Net.Sockets.SocketException">The name is not known, or nobody who knows it answers.</exception>
    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host, out var address))
        {
            return [address];
        }

        // On Unix the system's look-up is a blocking call: the token withdraws one that has not begun, and ends none that waits for a silent server.
        var resolving = resolveAsync(host, cancellationToken);
        try
        {
            return await resolving.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = ObserveAsync(resolving);
            throw;
        }
    }

    /// <summary>How a look-up ends that nobody waits for any longer is of no interest, and no failure that the application overlooked.</summary>
    private static async Task ObserveAsync(Task resolving) => await resolving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}
