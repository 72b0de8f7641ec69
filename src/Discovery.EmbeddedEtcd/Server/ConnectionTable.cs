using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>The open connections.</summary>
internal sealed class ConnectionTable(PauseGate gate)
{
    private readonly ConcurrentDictionary<string, ConnectionContext> _connections = new(StringComparer.Ordinal);

    public int Count => _connections.Count;

    public async Task RunAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        connection.Transport = new PausableTransport(connection, gate);
        _connections[connection.ConnectionId] = connection;
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            _connections.TryRemove(connection.ConnectionId, out _);
        }
    }

    /// <summary>Resets all connections, without a word to their calls.</summary>
    /// <returns>How many there were.</returns>
    public int Abort()
    {
        var connections = _connections.Values;
        foreach (var connection in connections)
        {
            connection.Abort(new ConnectionAbortedException("dropped by a test"));
        }

        return connections.Count;
    }
}
