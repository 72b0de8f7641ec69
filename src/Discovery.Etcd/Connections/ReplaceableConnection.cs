using Grpc.Net.Client;

namespace Discovery.Etcd.Connections;

/// <summary>
/// A connection of an endpoint, in use or its successor. One on which call after call stays unanswered is replaced: it may be half open,
/// and HTTP/2 pings would need many seconds to find that out.
/// </summary>
internal sealed class ReplaceableConnection(Func<GrpcChannel> connect) : IDisposable
{
    // One unanswered call may be a slow server's; a new connection for each would add to its load.
    private const int SilencesBeforeReplacement = 2;

    private readonly Lock _gate = new();
    private EtcdConnection? _current;
    private bool _disposed;

    /// <summary>Borrows the connection; it must be given back by <see cref="Return"/>.</summary>
    public EtcdConnection Rent()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(EtcdClient));
            _current ??= new EtcdConnection(connect());
            _current.AddUser();
            return _current;
        }
    }

    /// <summary>Gives a connection back.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="silent">Whether the call got no answer.</param>
    public void Return(EtcdConnection connection, bool silent)
    {
        lock (_gate)
        {
            connection.Silences = silent ? connection.Silences + 1 : 0;
            if (connection.Silences >= SilencesBeforeReplacement)
            {
                Retire(connection);
            }

            connection.RemoveUser();
        }
    }

    /// <summary>Lets no further call use this connection.</summary>
    public void Replace(EtcdConnection connection)
    {
        lock (_gate)
        {
            Retire(connection);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _current?.Close();
            _current = null;
        }
    }

    private void Retire(EtcdConnection connection)
    {
        if (_current == connection)
        {
            _current = null;
            connection.Retire();
        }
    }
}
