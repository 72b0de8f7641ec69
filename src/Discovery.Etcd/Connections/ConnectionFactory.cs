using System.Net;
using Discovery.Etcd.Diagnostics;
using Discovery.Etcd.Tls;
using Grpc.Net.Client;

namespace Discovery.Etcd.Connections;

/// <summary>Makes channels to an endpoint. Each holds at most one HTTP/2 connection and dials again when it is lost.</summary>
internal sealed class ConnectionFactory(EtcdClientOptions options, TlsFiles tls, Dialer dialer, EtcdMetrics metrics)
{
    // A large window lets a page of a list arrive at the network's speed from its first byte.
    private const int StreamWindow = 1024 * 1024;

    /// <summary>
    /// The largest message that is read. etcd itself sets no limit; this one keeps a peer that is no etcd from making us allocate
    /// gigabytes. 128 MiB is 1,000 values of nearly etcd's largest request together, and lists ask for smaller pages when they meet it.
    /// </summary>
    private const int MaxReceivedMessage = 128 * 1024 * 1024;

    // Limits are cancellations on our own clock, so no deadlines; failures are reported by those who call, so no logger; and a cancellation
    // that the server sent must stay distinguishable from ours, so it is not thrown as one.
    public GrpcChannel Connect(Uri endpoint, CallKind kind) => GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions
    {
        HttpHandler = CreateHandler(endpoint, kind),
        DisposeHttpClient = true,
        MaxReceiveMessageSize = MaxReceivedMessage,
        MaxSendMessageSize = null,
        LoggerFactory = null,
        ThrowOperationCanceledOnCancellation = false,
        UnsafeUseInsecureChannelCallCredentials = true,
    });

    // With a ConnectCallback the channel leaves connecting to us; its own would pause up to two minutes after failures.
    private SocketsHttpHandler CreateHandler(Uri endpoint, CallKind kind) => new()
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
        ConnectCallback = (context, cancellationToken) => DialAsync(endpoint, context.DnsEndPoint, kind, cancellationToken),
    };

    private async ValueTask<Stream> DialAsync(Uri endpoint, DnsEndPoint address, CallKind kind, CancellationToken cancellationToken)
    {
        try
        {
            var network = new CountedStream(await dialer.ConnectAsync(address, kind, cancellationToken).ConfigureAwait(false), endpoint, metrics);
            return endpoint.Scheme == Uri.UriSchemeHttps ? await SecureAsync(network, endpoint, cancellationToken).ConfigureAwait(false) : network;
        }
        catch (Exception e)
        {
            // Whatever it was, a cancellation included: that nothing was sent is what callers need to know.
            throw new DialException($"No connection to {endpoint.Authority}.", e);
        }
    }

    private async Task<Stream> SecureAsync(Stream network, Uri endpoint, CancellationToken cancellationToken)
    {
        var secure = new EtcdTlsStream(network);
        try
        {
            await secure.AuthenticateAsClientAsync(await tls.GetOptionsAsync(endpoint.Host, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
            return secure;
        }
        catch
        {
            await secure.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
