using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
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
    private readonly KestrelServer _kestrel;
    private readonly GrpcApplication _application;

    public EtcdServer(Socket listener, MethodTable methods, FaultPlan faults, ILoggerFactory loggerFactory)
    {
        _connections = new ConnectionTable(_pause);
        _application = new GrpcApplication(methods, faults, loggerFactory.CreateLogger<EmbeddedEtcdServer>(), _stopping.Token);

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

    public Task StartAsync(CancellationToken cancellationToken) => _kestrel.StartAsync<IFeatureCollection>(_application, cancellationToken);

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

        await _stopping.CancelAsync();
        using (var limit = new CancellationTokenSource(StopLimit, TimeProvider.System))
        {
            await _kestrel.StopAsync(limit.Token);
        }

        _kestrel.Dispose();
        _stopping.Dispose();
    }
}
