namespace Discovery.TestKit;

/// <summary>A test's own etcd with one member.</summary>
public sealed class EtcdProcess : IAsyncDisposable
{
    private EtcdProcess(EtcdCluster cluster) => Cluster = cluster;

    /// <summary>The cluster of one.</summary>
    public EtcdCluster Cluster { get; }

    /// <summary>The client URL.</summary>
    public string Endpoint => Member.Endpoint;

    /// <summary>The one member.</summary>
    public EtcdMember Member => Cluster.Members[0];

    /// <summary>Starts it and waits until it serves.</summary>
    public static async Task<EtcdProcess> StartAsync(EtcdProcessOptions? options = null) => new(await EtcdCluster.StartAsync(1, options));

    /// <summary>Ends it with SIGKILL. Its data stay.</summary>
    public Task KillAsync() => Member.KillAsync();

    /// <summary>Starts it again after <see cref="KillAsync"/>.</summary>
    public Task RestartAsync() => Cluster.StartMemberAsync(Member);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
