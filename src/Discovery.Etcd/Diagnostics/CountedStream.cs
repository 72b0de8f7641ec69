using System.Net.Sockets;

namespace Discovery.Etcd.Diagnostics;

/// <summary>A connection that counts as open until it is closed, by whoever owns it or by the garbage collector.</summary>
internal sealed class CountedStream : NetworkStream
{
    private readonly EtcdMetrics _metrics;
    private readonly Uri _endpoint;
    private bool _isClosed;

    public CountedStream(Socket socket, Uri endpoint, EtcdMetrics metrics)
        : base(socket, ownsSocket: true)
    {
        (_metrics, _endpoint) = (metrics, endpoint);
        metrics.OnConnections(endpoint, 1);
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (!Interlocked.Exchange(ref _isClosed, true))
        {
            _metrics?.OnConnections(_endpoint, -1);
        }
    }
}
