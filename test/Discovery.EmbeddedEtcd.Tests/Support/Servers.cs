namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>The server that a conformance test talks to.</summary>
public interface IServer
{
    /// <summary>Its client URL.</summary>
    string Endpoint { get; }
}

/// <summary>An embedded etcd for many tests.</summary>
public sealed class EmbeddedServer : IServer, IAsyncLifetime
{
    private EmbeddedEtcdServer? _etcd;

    /// <inheritdoc />
    public string Endpoint => _etcd!.Endpoint;

    /// <inheritdoc />
    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    /// <inheritdoc />
    public async Task DisposeAsync() => await _etcd!.DisposeAsync();
}

/// <summary>A real etcd for many tests.</summary>
public sealed class RealServer : IServer, IAsyncLifetime
{
    private IEtcdServer? _etcd;

    /// <inheritdoc />
    public string Endpoint => _etcd!.Endpoint;

    /// <inheritdoc />
    public async Task InitializeAsync()
    {
        // With etcd's own timings, for the least TTL of a lease follows from them.
        _etcd = await EtcdServer.StartAsync(new EtcdProcessOptions { FastElections = false });
    }

    /// <inheritdoc />
    public async Task DisposeAsync() => await _etcd!.DisposeAsync();
}

/// <summary>The tests that share one embedded etcd; they run one after another, for compaction concerns all.</summary>
[CollectionDefinition(Name)]
public sealed class EmbeddedTests : ICollectionFixture<EmbeddedServer>
{
    internal const string Name = "embedded etcd";
}

/// <summary>The tests that share one real etcd.</summary>
[CollectionDefinition(Name)]
public sealed class RealTests : ICollectionFixture<RealServer>
{
    internal const string Name = "real etcd";
}
