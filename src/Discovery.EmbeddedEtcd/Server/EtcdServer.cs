using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>
/// Kestrel on a socket that is bound already, speaking HTTP/2 without TLS. Not a host: the application's own settings (Kestrel
/// section, URLs, middleware) must not reach it.
/// </summary>
internal sealed class EtcdServer : IAsyncDisposable
{
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _stopping = new();
    private readonly PauseGate _pause = new();
    private readonly ConnectionTable _connections;
    private readonly GrpcPipeline _pipeline;
    private readonly KestrelServer _kestrel;

    /// <param name="listener">The bound socket.</param>
    /// <param name="bind">Makes the services; the token that it is given ends their streams.</param>
    /// <param name="faults">The calls that are to fail.</param>
    /// <param name="loggerFactory">Where defects are logged.</param>
    public EtcdServer(
        Socket listener, Func<CancellationToken, IEnumerable<ServerServiceDefinition>> bind, FaultPlan faults, ILoggerFactory loggerFactory)
    {
        _connections = new ConnectionTable(_pause);
        _pipeline = new GrpcPipeline(
            bind(_stopping.Token), new CallInterceptor(faults, loggerFactory.CreateLogger<EmbeddedEtcdServer>(), _stopping.Token));

        var options = new KestrelServerOptions { AddServerHeader = false, RequestHeaderEncodingSelector = AuthorityEncoding.For };
        options.Limits.MaxRequestBodySize = null;
        // Watches and keep-alives are requests that last for days and send next to nothing.
        options.Limits.MinRequestBodyDataRate = null;
        options.Limits.MinResponseDataRate = null;
        // Not infinite: Kestrel adds it to its clock, which overflows, and closes idle connections at once.
        options.Limits.KeepAliveTimeout = TimeSpan.FromDays(365);
        options.Limits.Http2.MaxStreamsPerConnection = 100_000;
        options.Listen((IPEndPoint)listener.LocalEndPoint!, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.Use(next => connection => _connections.RunAsync(connection, next));
        });
        var transport = new SocketTransportFactory(
            Options.Create(new SocketTransportOptions { CreateBoundListenSocket = _ => listener }), NullLoggerFactory.Instance);
        // Its messages would be taken for those of the application's own Kestrel.
        _kestrel = new KestrelServer(Options.Create(options), transport, NullLoggerFactory.Instance);
    }

    public int Connections => _connections.Count;

    public Task StartAsync(CancellationToken cancellationToken) => _kestrel.StartAsync<HttpContext>(_pipeline, cancellationToken);

    public void Pause() => _pause.Close();

    public void Resume() => _pause.Open();

    public int DropConnections() => _connections.Abort();

    public async ValueTask DisposeAsync()
    {
        if (_pause.IsClosed)
        {
            // What waits must not be carried out now: a frozen process that ends takes its connections with it.
            _connections.Abort();
            _pause.Open();
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        using (var limit = new CancellationTokenSource(StopLimit, TimeProvider.System))
        {
            await _kestrel.StopAsync(limit.Token).ConfigureAwait(false);
        }

        _kestrel.Dispose();
        await _pipeline.DisposeAsync().ConfigureAwait(false);
        _stopping.Dispose();
    }
}
