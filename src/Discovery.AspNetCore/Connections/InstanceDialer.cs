using System.Net;
using System.Net.Sockets;

namespace Discovery.AspNetCore.Connections;

/// <summary>Opens connections to one instance, whatever the request's URI says.</summary>
internal sealed class InstanceDialer(ServiceInstance instance, AddressFilter filter, TimeSpan connectTimeout, TimeProvider time)
{
    private const long Never = long.MinValue;

    private long _timedOutAt = Never;

    /// <summary>Set when the instance's certificate is to bear another name than that in the request's URI.</summary>
    public TlsHandshake? Tls { get; set; }

    /// <summary>
    /// Fails fast for one connect timeout after a timeout. <see cref="SocketsHttpHandler"/> queues HTTP/2 calls behind one connect and
    /// would start another connect for each of them in turn.
    /// </summary>
    public void OnTimedOut() => Interlocked.Exchange(ref _timedOutAt, time.GetTimestamp());

    public async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var timedOutAt = Interlocked.Read(ref _timedOutAt);
        if (timedOutAt != Never && time.GetElapsedTime(timedOutAt) < connectTimeout)
        {
            throw new IOException($"A connection to {instance.Address} did not come about within {connectTimeout.TotalSeconds:0.###} s just before.");
        }

        var addresses = IPAddress.TryParse(instance.Host, out var address)
            ? [address]
            : await Dns.GetHostAddressesAsync(instance.Host, cancellationToken).ConfigureAwait(false);
        var allowed = Array.FindAll(addresses, filter.Allows);
        if (allowed.Length == 0)
        {
            // An IOException becomes a connection error of the request, so the call goes to another instance.
            throw new IOException($"No address of '{instance.Host}' may be dialled (Etcd:Discovery:AllowedNetworks).");
        }

        var started = time.GetTimestamp();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, instance.Port, cancellationToken).ConfigureAwait(false);
            var stream = new NetworkStream(socket, ownsSocket: true);
            return Tls is not null && context.InitialRequestMessage.RequestUri?.Scheme == Uri.UriSchemeHttps
                ? await Tls.HandshakeAsync(stream, context.InitialRequestMessage, cancellationToken).ConfigureAwait(false)
                : stream;
        }
        catch (Exception e)
        {
            socket.Dispose();

            // An attempt is given up, too, when no call waits for it any more.
            if (e is OperationCanceledException && time.GetElapsedTime(started) >= connectTimeout * 0.9)
            {
                OnTimedOut();
            }

            throw;
        }
    }
}
