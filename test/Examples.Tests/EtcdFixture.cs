using Discovery.EmbeddedEtcd;

namespace Examples.Tests;

/// <summary>One etcd for all tests of a class.</summary>
public sealed class EtcdFixture : IAsyncLifetime
{
    private EmbeddedEtcdServer? _etcd;

    public string Endpoint => _etcd!.Endpoint;

    public long Revision => _etcd!.Revision;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public async Task DisposeAsync() => await _etcd!.DisposeAsync();
}
