using System.Net;
using System.Net.Sockets;

namespace Discovery.AspNetCore.Http;

/// <summary>Opens connections to one endpoint, whatever the request's URI says.</summary>
internal sealed class EndpointDialer(ServiceInstance instance, AddressFilter filter)
{
    public async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(instance.Host, out var address)
            ? [address]
            : await Dns.GetHostAddressesAsync(instance.Host, cancellationToken);
        var allowed = Array.FindAll(addresses, filter.Allows);
        if (allowed.Length == 0)
        {
            // An IOException becomes a connection error of the request, so the call goes to another endpoint.
            throw new IOException($"No address of '{instance.Host}' may be dialled (Etcd:Discovery:AllowedNetworks).");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, instance.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
