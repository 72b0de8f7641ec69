using System.Net;
using System.Net.Sockets;

namespace Discovery.TestKit;

/// <summary>Listens, and lets connections wait for ever: its queue is full and nobody takes from it.</summary>
public sealed class BlackHole : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _fillers = [];

    /// <summary>Begins.</summary>
    /// <param name="endpoint">Where, or null for a free port of the loopback address.</param>
    public BlackHole(IPEndPoint? endpoint = null)
    {
        _listener.Bind(endpoint ?? new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
        Address = _listener.LocalEndPoint!.ToString()!;
        Task connecting;
        do
        {
            var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _fillers.Add(filler);
            connecting = filler.ConnectAsync(_listener.LocalEndPoint!);
        }
        while (connecting.Wait(TimeSpan.FromMilliseconds(500)));

        // Its failure when the filler is disposed is of no interest.
        _ = connecting.ContinueWith(static t => _ = t.Exception, TaskScheduler.Default);
    }

    /// <summary>The port.</summary>
    public int Port => IPEndPoint.Parse(Address).Port;

    /// <summary>Host and port.</summary>
    public string Address { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        _fillers.ForEach(static f => f.Dispose());
        _listener.Dispose();
    }
}
