using Grpc.Net.Client;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Interop;

/// <summary>The interop service as Node.js serves it, and our client for it.</summary>
public sealed class NodeServer : IAsyncLifetime
{
    private NodePeer? _peer;
    private GrpcChannel? _channel;

    public InteropClient Client { get; private set; } = null!;

    /// <summary>Waits until the server has seen that a call of this method was cancelled.</summary>
    public Task CancelledAsync(string method) => Eventually.IsTrue(() => _peer!.Lines.Contains($"cancelled {method}"));

    public async Task InitializeAsync()
    {
        _peer = await NodePeer.StartAsync("server.mjs");
        var port = await _peer.WaitForLineAsync("listening ");
        _channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port}");
        Client = new InteropClient(_channel);
    }

    public async Task DisposeAsync()
    {
        _channel?.Dispose();
        if (_peer is not null)
        {
            await _peer.DisposeAsync();
        }
    }
}
