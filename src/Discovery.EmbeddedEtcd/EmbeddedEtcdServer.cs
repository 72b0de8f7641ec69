using System.Net;
using System.Net.Sockets;
using Discovery.EmbeddedEtcd.Server;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.EmbeddedEtcd;

/// <summary>
/// An etcd inside this process, for tests and for development without an installation. It speaks etcd's protocol on a port of the
/// loopback address, so that any etcd client can use it, and keeps everything in memory: it serves one machine, survives nothing,
/// and is no replacement for an etcd cluster in production.
/// </summary>
/// <example>
/// <code>
/// await using var etcd = await EmbeddedEtcdServer.StartAsync();
/// options.Endpoints = [etcd.Endpoint];
/// </code>
/// </example>
public sealed partial class EmbeddedEtcdServer : IAsyncDisposable, IDisposable
{
    private readonly EmbeddedEtcdOptions _options;
    private readonly FaultPlan _faults = new();
    private readonly Lazy<Task> _stopped;
    private readonly Lock _gate = new();
    private Socket? _listener;
    private EtcdEngine? _engine;
    private EtcdServer? _server;
    private Task? _start;
    private volatile bool _isDisposed;

    private EmbeddedEtcdServer(EmbeddedEtcdOptions options)
    {
        _options = options;
        if (options.Port == 0)
        {
            _listener = Listen(options);
        }

        Endpoint = $"http://{_listener?.LocalEndPoint ?? new IPEndPoint(IPAddress.Loopback, options.Port)}";
        Endpoints = [Endpoint];
        _stopped = new Lazy<Task>(StopAsync);
    }

    /// <summary>The URL for clients, e.g. <c>http://127.0.0.1:41235</c>.</summary>
    public string Endpoint { get; }

    /// <summary><see cref="Endpoint"/> as the list that clients' settings take.</summary>
    public IReadOnlyList<string> Endpoints { get; }

    /// <summary>The revision of the last change. A new store is at 1.</summary>
    public long Revision
    {
        get
        {
            lock (Engine.Gate)
            {
                return Engine.Store.Revision;
            }
        }
    }

    /// <summary>How many connections clients have open.</summary>
    public int Connections => Server.Connections;

    internal int Watchers
    {
        get
        {
            lock (Engine.Gate)
            {
                return Engine.Watchers.Count;
            }
        }
    }

    /// <summary>How many changes are kept.</summary>
    internal int HistoryLength
    {
        get
        {
            lock (Engine.Gate)
            {
                return Engine.Store.Log.Count;
            }
        }
    }

    private EtcdEngine Engine => _engine ?? throw NotRunning();

    private EtcdServer Server => _server ?? throw NotRunning();

    /// <summary>Starts an etcd.</summary>
    /// <param name="options">How it runs, or <see langword="null"/> for a free port and the system's clock.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <returns>The running etcd; disposing it stops it and forgets its data.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is wrong; the message names it.</exception>
    /// <exception cref="IOException">The port is in use.</exception>
    public static async Task<EmbeddedEtcdServer> StartAsync(EmbeddedEtcdOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new EmbeddedEtcdOptions();
        var etcd = Create(options);
        try
        {
            await etcd.RunAsync(options.LoggerFactory ?? NullLoggerFactory.Instance, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await etcd.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return etcd;
    }

    /// <summary>Compacts the history up to the current revision: older revisions cannot be read or watched any more.</summary>
    /// <returns>The compacted revision.</returns>
    public long Compact()
    {
        var engine = Engine;
        lock (engine.Gate)
        {
            if (engine.Store.CompactedRevision < engine.Store.Revision)
            {
                engine.Store.Compact(engine.Store.Revision);
            }

            return engine.Store.Revision;
        }
    }

    /// <summary>Ends a lease as if its time had come: its keys are deleted and its id is not found any more.</summary>
    /// <param name="id">The id of the lease.</param>
    /// <returns>Whether there was such a lease.</returns>
    public bool ExpireLease(long id)
    {
        var engine = Engine;
        lock (engine.Gate)
        {
            if (engine.Leases.Find(id) is not { } lease)
            {
                return false;
            }

            engine.Revoke(lease);
            engine.ArmExpiry();
            return true;
        }
    }

    /// <summary>Resets all connections, as a network failure does. Clients may connect again at once.</summary>
    /// <returns>How many connections there were.</returns>
    public int DropConnections() => Server.DropConnections();

    /// <summary>
    /// Stops answering until <see cref="Resume"/>, as a frozen process does: connections stay open and new ones are accepted, but
    /// nothing is read or sent, HTTP/2 pings included. The clock goes on, so leases expire meanwhile.
    /// </summary>
    public void Pause() => Server.Pause();

    /// <summary>Ends <see cref="Pause"/>: what clients sent meanwhile is carried out.</summary>
    public void Resume() => Server.Resume();

    /// <summary>Makes calls fail before they have any effect. Calls of this method add up.</summary>
    /// <param name="next">How many calls fail, from now on; opening a stream is one call.</param>
    /// <param name="status">The status they fail with, e.g. <see cref="StatusCode.Unavailable"/>.</param>
    /// <param name="message">The status message; clients of etcd compare it, e.g. <c>etcdserver: no leader</c>.</param>
    /// <param name="method">Only calls of this method, e.g. <c>Put</c>, <c>Watch</c> or <c>LeaseKeepAlive</c>; <see langword="null"/> is any.</param>
    /// <exception cref="ArgumentOutOfRangeException">Less than one call, or the status OK.</exception>
    public void Fail(int next, StatusCode status, string message = "etcdserver: failed by a test", string? method = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(next, 1);
        ArgumentOutOfRangeException.ThrowIfEqual(status, StatusCode.OK);
        _faults.Add(next, status, message, method);
    }

    /// <summary>
    /// Stops the server and forgets its data. Open streams end with the status Unavailable. It may be called more than once and from
    /// several threads; each call waits until the server has stopped.
    /// </summary>
    public ValueTask DisposeAsync() => new(_stopped.Value);

    /// <summary>The same as <see cref="DisposeAsync"/>, and blocks until the server has stopped.</summary>
    public void Dispose() => _stopped.Value.GetAwaiter().GetResult();

    /// <summary>
    /// Takes a port of the system's choice, so that the endpoint is known; connections wait until <see cref="RunAsync"/>. A fixed one is known
    /// without, and taken only then.
    /// </summary>
    internal static EmbeddedEtcdServer Create(EmbeddedEtcdOptions options)
    {
        options.Validate();
        return new EmbeddedEtcdServer(options);
    }

    /// <summary>Serves from now on, if it does not yet.</summary>
    internal Task RunAsync(ILoggerFactory loggerFactory, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return _start ??= StartServerAsync(loggerFactory, cancellationToken);
        }
    }

    private static Socket Listen(EmbeddedEtcdOptions options)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, options.Port));
            listener.Listen();
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new IOException(
                $"The embedded etcd cannot listen on {nameof(EmbeddedEtcdOptions)}.{nameof(options.Port)} {options.Port}: {e.Message}. Use a free port, or 0 to have "
                    + $"one chosen. If an etcd is there already, as that of another process of yours, set Etcd:Endpoints to http://127.0.0.1:{options.Port} and "
                    + $"{nameof(EmbeddedEtcdOptions)}.{nameof(options.SkipIfEndpointsConfigured)} to true, and it is used.", e);
        }

        return listener;
    }

    private async Task StartServerAsync(ILoggerFactory loggerFactory, CancellationToken cancellationToken)
    {
        EtcdServer server;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _listener ??= Listen(_options);
            _engine = new EtcdEngine(_options.TimeProvider, _options.RetainedRevisions);
            _server = server = new EtcdServer(
                _listener, stopping => EtcdServices.Bind(_engine, Endpoint, _options.WatchProgressInterval, stopping), _faults, loggerFactory);
        }

        try
        {
            await server.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (_isDisposed)
        {
            // Kestrel, or the listener, says so in words of its own.
            throw new ObjectDisposedException($"The embedded etcd on {Endpoint} was disposed while it started.", e);
        }

        Log.Started(loggerFactory.CreateLogger<EmbeddedEtcdServer>(), Endpoint);
    }

    private async Task StopAsync()
    {
        EtcdServer? server;
        lock (_gate)
        {
            _isDisposed = true;
            server = _server;
        }

        if (server is not null)
        {
            await server.DisposeAsync().ConfigureAwait(false);
        }

        _engine?.Dispose();
        _listener?.Dispose();
    }

    private InvalidOperationException NotRunning() => new($"The embedded etcd on {Endpoint} has not been started yet: start the host first.");

    private static partial class Log
    {
        [LoggerMessage(3002, LogLevel.Information, "Embedded etcd on {Endpoint}: in memory, in this process, for development and tests only. Production needs a real etcd cluster.")]
        public static partial void Started(ILogger logger, string endpoint);
    }
}
