namespace Discovery.AspNetCore.Http;

/// <summary>What carries the calls of one endpoint: a connection pool of its own.</summary>
internal sealed class EndpointTransport(SocketsHttpHandler handler, EndpointDialer dialer) : HttpMessageInvoker(handler, disposeHandler: true)
{
    /// <summary>No connection came about in time, be it that nobody answered or that the TLS handshake did not end.</summary>
    public void OnConnectTimeout() => dialer.OnTimedOut();
}
