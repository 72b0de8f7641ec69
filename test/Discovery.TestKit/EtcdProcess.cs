namespace Discovery.TestKit;

/// <summary>A test's own etcd with one member.</summary>
public sealed class EtcdProcess : IEtcdServer
{
    private readonly string _etcd;

    private EtcdProcess(EtcdCluster cluster, string etcd) => (Cluster, _etcd) = (cluster, etcd);

    /// <summary>The cluster of one.</summary>
    public EtcdCluster Cluster { get; }

    /// <inheritdoc />
    public string Endpoint => Member.Endpoint;

    /// <inheritdoc />
    public int ClientPort => Member.ClientPort;

    /// <summary>The one member.</summary>
    public EtcdMember Member => Cluster.Members[0];

    /// <inheritdoc />
    public Version EtcdVersion => _etcd == EtcdBinary.Etcd ? EtcdBinary.Version : EtcdBinary.VersionOf(_etcd);

    /// <summary>Starts it and waits until it serves.</summary>
    public static async Task<EtcdProcess> StartAsync(EtcdProcessOptions? options = null)
        => new(await EtcdCluster.StartAsync(1, options), options?.Etcd ?? EtcdBinary.Etcd);

    /// <summary>Ends it with SIGKILL. Its data stay.</summary>
    public Task KillAsync() => Member.KillAsync();

    /// <summary>Starts it again after <see cref="KillAsync"/>.</summary>
    public Task RestartAsync() => Cluster.StartMemberAsync(Member);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
