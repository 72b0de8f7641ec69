namespace Discovery.AspNetCore.Http;

/// <summary>Makes what carries the calls of one endpoint: a connection pool of its own.</summary>
internal sealed class EndpointTransports(
    EtcdDiscoveryOptions options, AddressFilter filter, IReadOnlyList<Action<SocketsHttpHandler>> configure)
{
    /// <summary>Below the 2 minutes after which common servers and middle boxes drop idle connections.</summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(90);

    /// <summary>A connection that died without a word is noticed within 30 s of a call on it, not after the system's 15 min.</summary>
    private static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(10);

    public HttpMessageInvoker Create(ServiceInstance instance)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            EnableMultipleHttp2Connections = true,
            ConnectTimeout = options.ConnectTimeout,
            PooledConnectionIdleTimeout = IdleTimeout,
            KeepAlivePingDelay = PingDelay,
            KeepAlivePingTimeout = PingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            ConnectCallback = new EndpointDialer(instance, filter).DialAsync,
        };
        var dial = handler.ConnectCallback;
        foreach (var action in configure)
        {
            action(handler);
        }

        if (handler.ConnectCallback != dial)
        {
            handler.Dispose();
            throw new InvalidOperationException(
                $"ConfigureEtcdTransport of service '{instance.ServiceName}' sets ConnectCallback, which is how calls get to the instance; leave it alone.");
        }

        if (TlsTarget.HostOf(options.TlsTargetHost, instance.Host) is { } host)
        {
            // After the application's turn, which may have put options of its own in place.
            handler.SslOptions.TargetHost ??= host;
        }

        return new HttpMessageInvoker(handler, disposeHandler: true);
    }
}
