namespace Discovery.TestKit;

/// <summary>An etcd with one member for tests that leave it as they found it, wherever it runs.</summary>
public interface IEtcdServer : IAsyncDisposable
{
    /// <summary>The client URL.</summary>
    string Endpoint { get; }

    /// <summary>The port of the client URL.</summary>
    int ClientPort { get; }

    /// <summary>Its version, e.g. 3.5.30.</summary>
    Version EtcdVersion { get; }
}
