namespace Grpc.Net.Client;

/// <summary>The handler that is used where none is set.</summary>
internal static class DefaultHandler
{
    // One HTTP/2 connection carries about a hundred calls at once; more need more connections.
    public static SocketsHttpHandler Create() => new() { EnableMultipleHttp2Connections = true };

    /// <summary>Whether at the end of the chain there is a handler that makes connections in its own way.</summary>
    public static bool Connects(HttpMessageHandler? handler)
    {
        while (handler is DelegatingHandler { InnerHandler: var inner })
        {
            handler = inner;
        }

        return handler is SocketsHttpHandler { ConnectCallback: null };
    }
}
