using System.Net;
using System.Net.Sockets;

namespace Discovery.TestKit;

/// <summary>A bad network between a client and a server on the loopback interface.</summary>
public sealed class TcpProxy : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<TcpProxyConnection> _connections = [];
    private readonly CancellationTokenSource _ended = new();
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<byte> _recorded = [];
    private readonly Task _accepting;

    private TcpProxy(int target)
    {
        Target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>The port to connect to.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The local port that new connections go to; those that are open stay where they are.</summary>
    public int Target { get; set; }

    /// <summary>The URL to connect to.</summary>
    public string Endpoint => $"http://127.0.0.1:{Port}";

    /// <summary>How many connections were accepted so far.</summary>
    public int Accepted { get; private set; }

    /// <summary>How many connections are open.</summary>
    public int Open
    {
        get
        {
            lock (_gate)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Whether new connections are closed as soon as they are made.</summary>
    public bool Refuses { get; set; }

    /// <summary>How long each piece is held back, both ways.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Nothing goes from the client to the server while this is set; what was held back goes on afterwards.</summary>
    public bool BlackholesRequests { get; set; }

    /// <summary>Nothing goes from the server to the client while this is set; what was held back goes on afterwards.</summary>
    public bool BlackholesResponses { get; set; }

    /// <summary>Whether what clients send is kept in <see cref="RecordedRequests"/>.</summary>
    public bool RecordsRequests { get; set; }

    /// <summary>What clients sent, over all connections, as it went over the wire.</summary>
    public byte[] RecordedRequests
    {
        get
        {
            lock (_gate)
            {
                return [.. _recorded];
            }
        }
    }

    /// <summary>Starts a proxy to a local port.</summary>
    public static TcpProxy Start(int target) => new(target);

    /// <summary>Resets all connections.</summary>
    public void CutAll()
    {
        foreach (var connection in Snapshot())
        {
            connection.Cut();
        }
    }

    /// <summary>Resets one of the open connections.</summary>
    /// <param name="index">Which, in the order in which they were made.</param>
    public void Cut(Index index) => Snapshot()[index].Cut();

    /// <summary>Lets so many more bytes go from the server to the client on each open connection, then resets it.</summary>
    public void CutAfter(int bytes)
    {
        foreach (var connection in Snapshot())
        {
            connection.CutAfter(bytes);
        }
    }

    /// <summary>Lets nothing go on over the connections that are open now; new ones work.</summary>
    public void BlackholeOpenConnections()
    {
        foreach (var connection in Snapshot())
        {
            connection.IsBlackhole = true;
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        _listener.Stop();
        await _accepting;
        CutAll();
        _ended.Dispose();
    }

    internal void Record(ReadOnlySpan<byte> sent)
    {
        if (RecordsRequests)
        {
            lock (_gate)
            {
                _recorded.AddRange(sent);
            }
        }
    }

    private TcpProxyConnection[] Snapshot()
    {
        lock (_gate)
        {
            return [.. _connections];
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_ended.Token);
                Accepted++;
                if (Refuses)
                {
                    client.Close(0);
                    continue;
                }

                _ = ServeAsync(client);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var connection = new TcpProxyConnection(this, client);
        lock (_gate)
        {
            _connections.Add(connection);
        }

        await connection.RunAsync(Target, _ended.Token);
        lock (_gate)
        {
            _connections.Remove(connection);
        }
    }
}
