using System.Net;
using System.Net.Sockets;

namespace Discovery.AspNetCore.Tests.Connections;

/// <summary>Listens, and lets connections wait for ever: its queue is full and nobody takes from it.</summary>
internal sealed class BlackHole : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _fillers = [];

    public BlackHole()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
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

    public string Address => _listener.LocalEndPoint!.ToString()!;

    public void Dispose()
    {
        _fillers.ForEach(static f => f.Dispose());
        _listener.Dispose();
    }
}
