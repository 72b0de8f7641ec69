namespace Discovery.AspNetCore.Connections;

/// <summary>What carries the calls of one instance: a connection pool of its own.</summary>
internal sealed class InstanceTransport(SocketsHttpHandler handler, InstanceDialer dialer) : HttpMessageInvoker(handler, disposeHandler: true)
{
    /// <summary>No connection came about in time, be it that nobody answered or that the TLS handshake did not end.</summary>
    public void OnConnectTimeout() => dialer.OnTimedOut();
}
