using Discovery.AspNetCore.Testing.Tests.Support;
using Discovery.Etcd;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Transport;

namespace Discovery.AspNetCore.Testing.Tests;

public sealed class EmbeddedEtcdTests
{
    // Kestrel looks for idle connections once a second.
    private static readonly TimeSpan SeveralHeartbeats = TimeSpan.FromSeconds(2.5);

    [Fact]
    public async Task An_idle_connection_stays_open()
    {
        await using var etcd = await EmbeddedEtcd.StartAsync();
        using var client = new RawClient(etcd.Endpoint);
        await client.PutAsync("a", "1");

        await Task.Delay(SeveralHeartbeats);

        Assert.Equal(1, etcd.Connections);
    }
}
