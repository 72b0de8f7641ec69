using System.Diagnostics.Metrics;
using System.Net;
using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Instances;
using Discovery.Etcd.Connections;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Connections;

/// <summary>Makes the transport of each instance.</summary>
internal sealed class TransportFactory(
    EtcdDiscoveryOptions options,
    AddressFilter filter,
    IReadOnlyList<Action<SocketsHttpHandler>> configure,
    TimeProvider time,
    ILogger logger,
    IMeterFactory? meters,
    ServiceMetrics? metrics = null)
{
    /// <summary>Below the 2 minutes after which common servers and middle boxes drop idle connections.</summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(90);

    /// <summary>
    /// With pings each handler looks at its connections by a timer of its own, also while there is no call, four times in the shorter one of delay and
    /// timeout. What costs is that each of them wakes up a thread, so there are no more than this many a second for a service.
    /// </summary>
    private const double MostTimersPerSecond = 50;

    /// <summary>A frozen process, whose system still answers, is noticed within 30 s of a call on it.</summary>
    private static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(10);

    /// <summary>However many instances there are: as long as this for the delay, and again for the timeout.</summary>
    private static readonly TimeSpan LongestPing = TimeSpan.FromMinutes(2);

    /// <summary>After this long a name is resolved again, with jitter, or all would do so at once.</summary>
    private static readonly TimeSpan NameLifetime = TimeSpan.FromMinutes(4);

    private int _isSharedNameSaid;

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    /// <summary>Finds the addresses of instances that are registered by names.</summary>
    public HostResolver Resolver { get; init; } = HostResolver.Default;

    /// <summary>What is measured of connections; null if nothing is.</summary>
    public ServiceMetrics? Metrics => metrics;

    /// <summary>Keeps failures to connect from flooding the log where many instances come and go.</summary>
    public LogLimit FailureLines { get; } = new(time);

    /// <summary>How long a connect may take, as the settings have it now.</summary>
    public TimeSpan ConnectTimeout => options.ConnectTimeout;

    /// <summary>How many instances there are to be called. Set by the pool.</summary>
    public int InstanceCount { get; set; }

    /// <summary>A transport that connects to nothing before its first call.</summary>
    public InstanceTransport Create(ServiceInstance instance) => new(instance, this);

    /// <summary>Whether nobody has said yet that the name of the certificates is not the service's alone. True once.</summary>
    public bool TrySaySharedName() => Interlocked.Exchange(ref _isSharedNameSaid, 1) == 0;

    /// <summary>Makes the handler of an instance's transport.</summary>
    /// <exception cref="InvalidOperationException">The application's settings replace what gets calls to the instance, or go round it.</exception>
    public SocketsHttpHandler CreateHandler(InstanceTransport transport)
    {
        var instance = transport.Instance;
        var connectTimeout = options.ConnectTimeout;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            EnableMultipleHttp2Connections = true,
            ConnectTimeout = connectTimeout,
            PooledConnectionIdleTimeout = IdleTimeout,
            PooledConnectionLifetime = IPAddress.TryParse(instance.Host, out _) ? Timeout.InfiniteTimeSpan : NameLifetime * (0.75 + (0.5 * FastRandom.Fraction())),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            MeterFactory = meters,
            ConnectCallback = static (_, _) => throw new InvalidOperationException("The transport is not ready yet."),
        };

        // Servers of other origin close a connection at the third ping within 5 minutes, and all its calls with it.
        if (instance.Protocols != InstanceProtocols.Unspecified)
        {
            var least = GetLeastPing();
            handler.KeepAlivePingDelay = least > PingDelay ? least : PingDelay;
            handler.KeepAlivePingTimeout = least > PingTimeout ? least : PingTimeout;
        }

        var untouched = handler.ConnectCallback;
        foreach (var action in configure)
        {
            action(handler);
        }

        if (handler.ConnectCallback != untouched)
        {
            handler.Dispose();
            throw new InvalidOperationException(
                $"ConfigureEtcdTransport of service '{instance.ServiceName}' sets ConnectCallback, which is how calls get to the instance; leave it alone.");
        }

        if (handler.UseProxy)
        {
            handler.Dispose();
            throw new InvalidOperationException(
                $"ConfigureEtcdTransport of service '{instance.ServiceName}' sets UseProxy, but calls go to instances directly; leave it false. "
                + "A proxy in front of a service can be registered as its instance.");
        }

        // After the application's turn, which may have put options of its own in place. The dialler keeps the time limit itself, for
        // its failures are to be told from others.
        var tls = new TlsHandshake(TlsHandshake.HostOf(options.TlsTargetHost, instance.Host), handler.SslOptions);
        transport.OwnConnectTimeout = handler.ConnectTimeout == connectTimeout ? null : handler.ConnectTimeout;
        handler.ConnectCallback = new InstanceDialer(transport, filter, tls, this).DialAsync;
        handler.ConnectTimeout = Timeout.InfiniteTimeSpan;
        return handler;
    }

    /// <summary>What delay and timeout of pings must be for the timers of all handlers to be few.</summary>
    private TimeSpan GetLeastPing()
    {
        var used = options.SubsetSize > 0 ? Math.Min(options.SubsetSize, InstanceCount) : InstanceCount;
        var least = TimeSpan.FromSeconds(4 * used / MostTimersPerSecond);
        return least < LongestPing ? least : LongestPing;
    }
}
