using System.Net.Sockets;
using Discovery.AspNetCore.Diagnostics.Metrics;

namespace Discovery.AspNetCore.Connections;

/// <summary>A connection that counts as open until it is closed, by whoever owns it or by the garbage collector.</summary>
internal sealed class CountedStream : NetworkStream
{
    private readonly ServiceMetrics? _metrics;
    private bool _isClosed;

    public CountedStream(Socket socket, ServiceMetrics? metrics)
        : base(socket, ownsSocket: true)
    {
        _metrics = metrics;
        metrics?.OnConnections(1);
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (!Interlocked.Exchange(ref _isClosed, true))
        {
            _metrics?.OnConnections(-1);
        }
    }
}
