namespace Discovery.AspNetCore.Connections;

/// <summary>Makes the transport of each instance.</summary>
internal sealed class TransportFactory(
    EtcdDiscoveryOptions options, AddressFilter filter, IReadOnlyList<Action<SocketsHttpHandler>> configure, TimeProvider time)
{
    /// <summary>Below the 2 minutes after which common servers and middle boxes drop idle connections.</summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(90);

    /// <summary>A connection that died without a word is noticed within 30 s of a call on it, not after the system's 15 min.</summary>
    private static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(10);

    public InstanceTransport Create(ServiceInstance instance)
    {
        var dialer = new InstanceDialer(instance, filter, options.ConnectTimeout, time);
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
            ConnectCallback = dialer.DialAsync,
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

        if (TlsHandshake.HostOf(options.TlsTargetHost, instance.Host) is { } host)
        {
            // After the application's turn, which may have put options of its own in place.
            dialer.Tls = new TlsHandshake(host, handler.SslOptions);
        }

        return new InstanceTransport(handler, dialer);
    }
}
