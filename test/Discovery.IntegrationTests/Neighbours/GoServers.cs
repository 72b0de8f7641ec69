using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.DependencyInjection;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>A server in Go for each way to register, and our client for each.</summary>
public sealed class GoServers : IAsyncLifetime
{
    private readonly OneNode _node = new();
    private readonly List<IAsyncDisposable> _started = [];
    private readonly Dictionary<string, InteropClient> _clients = new(StringComparer.Ordinal);

    public InteropClient Client(string way) => _clients[way];

    public async Task InitializeAsync()
    {
        await _node.InitializeAsync();
        foreach (var (way, layout) in Ways.Layouts)
        {
            _started.Add(await Neighbour.ServeAsync(_node.Etcd.Endpoint, way, "User"));
            var client = Application.Client(_node.Etcd.Endpoint, "User", layout);
            _started.Add(client);
            _clients[way] = client.GetRequiredService<InteropClient>();
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var started in _started)
        {
            await started.DisposeAsync();
        }

        await _node.DisposeAsync();
    }
}
