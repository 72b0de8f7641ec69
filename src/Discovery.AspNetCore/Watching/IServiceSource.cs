using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>What the directory needs of etcd. Tests put a source in its place that fails on demand.</summary>
internal interface IServiceSource
{
    /// <summary>The name of the cluster; null for the application's default one.</summary>
    string? Cluster => null;

    /// <summary>The endpoints, for messages.</summary>
    IReadOnlyList<Uri> Endpoints { get; }

    /// <summary>Whether there is anything to ask.</summary>
    bool HasEndpoints => Endpoints.Count > 0;

    /// <summary>What others who use the same etcd log of its outages; null when there is nobody else.</summary>
    EtcdOutage? Outage => null;

    /// <summary>See <see cref="EtcdClient.ListAsync"/>.</summary>
    Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken);

    /// <summary>See <see cref="EtcdClient.ListInPagesAsync"/>.</summary>
    Task<EtcdListing> ListAsync(
        string prefix, Action<IReadOnlyList<EtcdKeyValue>>? onPage, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => ListAsync(prefix, consistency, cancellationToken);

    /// <summary>How many prefixes <see cref="ListTogetherAsync"/> takes; 1 where they are listed one by one.</summary>
    int MostListsTogether => 1;

    /// <summary>See <see cref="EtcdClient.ListManyAsync"/>.</summary>
    Task<IReadOnlyList<EtcdListing>> ListTogetherAsync(IReadOnlyList<string> prefixes, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => throw new NotSupportedException();

    /// <summary>Asks whether any endpoint answers.</summary>
    /// <returns>Why none does within the limit, or null when one does or it cannot be told.</returns>
    Task<EtcdException?> FindFailureAsync(TimeSpan limit, CancellationToken cancellationToken) => Task.FromResult<EtcdException?>(null);

    /// <summary>See <see cref="EtcdClient.Watch(string, long, ulong)"/>.</summary>
    IServiceWatch Watch(string prefix, long startRevision, ulong clusterId);

    /// <summary>See <see cref="EtcdClient.FollowAsync"/>.</summary>
    IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(string prefix, EtcdFollowOptions options, CancellationToken cancellationToken)
        => throw new NotSupportedException();
}

/// <summary>See <see cref="EtcdWatch"/>.</summary>
internal interface IServiceWatch : IAsyncDisposable
{
    /// <summary>See <see cref="EtcdWatch.ReadAllAsync"/>.</summary>
    IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync(CancellationToken cancellationToken);

    /// <summary>See <see cref="EtcdWatch.Restart"/>.</summary>
    void Restart(long startRevision, ulong clusterId);
}
