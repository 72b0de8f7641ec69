using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Discovery.Etcd.Tls;

namespace Discovery.Etcd.Connections;

/// <summary>Makes connections to an endpoint. Each invoker holds at most one HTTP/2 connection and dials again when it is lost.</summary>
internal sealed class ConnectionFactory(EtcdClientOptions options, TlsFiles tls)
{
    // A large window lets a page of a list arrive at the network's speed from its first byte.
    private const int StreamWindow = 1024 * 1024;

    public HttpMessageInvoker Connect(Uri endpoint) => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        EnableMultipleHttp2Connections = false,
        InitialHttp2StreamWindowSize = StreamWindow,
        ConnectTimeout = options.AttemptTimeout,
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        PooledConnectionLifetime = Timeout.InfiniteTimeSpan,
        KeepAlivePingDelay = options.KeepAlivePingDelay,
        KeepAlivePingTimeout = options.KeepAlivePingTimeout,

        // The server takes pings without streams, or more often than every 5 s, for an attack and closes the connection.
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        ConnectCallback = (context, cancellationToken) => DialAsync(endpoint, context.DnsEndPoint, cancellationToken),
    });

    private async ValueTask<Stream> DialAsync(Uri endpoint, DnsEndPoint address, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, cancellationToken);
            var network = new NetworkStream(socket, ownsSocket: true);
            return endpoint.Scheme == Uri.UriSchemeHttps ? await SecureAsync(network, endpoint, cancellationToken) : network;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<Stream> SecureAsync(NetworkStream network, Uri endpoint, CancellationToken cancellationToken)
    {
        var secure = new SslStream(network);
        try
        {
            await secure.AuthenticateAsClientAsync(tls.CreateOptions(endpoint.Host), cancellationToken);
            return secure;
        }
        catch
        {
            await secure.DisposeAsync();
            throw;
        }
    }
}
