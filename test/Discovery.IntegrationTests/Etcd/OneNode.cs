using System.Text;
using Discovery.Etcd;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>One etcd for the tests that leave it as they found it. Each uses keys of its own.</summary>
public sealed class OneNode : IAsyncLifetime
{
    private IEtcdServer? _etcd;

    internal IEtcdServer Etcd => _etcd!;

    public async Task InitializeAsync() => _etcd = await EtcdServer.StartAsync();

    public async Task DisposeAsync() => await Etcd.DisposeAsync();

    internal EtcdClient Connect() => Clients.Connect(Etcd.Endpoint);
}

internal static class Clients
{
    public static EtcdClient Connect(string endpoints, Action<EtcdClientOptions>? configure = null)
    {
        var options = new EtcdClientOptions { Endpoints = [endpoints] };
        configure?.Invoke(options);
        return new EtcdClient(options);
    }

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static string Text(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);

    /// <summary>A prefix that no other test uses.</summary>
    public static string NewPrefix() => $"t{Guid.NewGuid():N}/";
}
