namespace Discovery.TestKit;

/// <summary>A test's own etcd cluster, on free ports of the loopback interface.</summary>
public sealed class EtcdCluster : IAsyncDisposable
{
    private const int MaxAttempts = 10;

    private readonly string _initialCluster;

    private EtcdCluster(IReadOnlyList<EtcdMember> members)
    {
        Members = members;
        _initialCluster = string.Join(',', members.Select(m => $"{m.Name}={m.PeerUrl}"));
    }

    /// <summary>The members.</summary>
    public IReadOnlyList<EtcdMember> Members { get; }

    /// <summary>All client URLs, separated by commas.</summary>
    public string Endpoints => string.Join(',', Members.Select(m => m.Endpoint));

    /// <summary>Starts a cluster and waits until all members serve clients.</summary>
    /// <param name="size">How many members.</param>
    /// <param name="options">How they are started; by default one member elects itself fast, and several keep etcd's own timing.</param>
    public static async Task<EtcdCluster> StartAsync(int size = 3, EtcdProcessOptions? options = null)
    {
        options ??= new EtcdProcessOptions { FastElections = size == 1 };
        for (var attempt = 1; ; attempt++)
        {
            // The token goes into the cluster's id, so members of different tests never talk to each other.
            var token = Guid.NewGuid().ToString("N");
            var cluster = new EtcdCluster([.. Enumerable.Range(1, size).Select(i => new EtcdMember($"m{i}-{token[..8]}", token, options))]);
            try
            {
                await Task.WhenAll(cluster.Members.Select(m => m.LaunchAsync(cluster._initialCluster)));
                var serving = await Task.WhenAll(cluster.Members.Select(m => m.WaitUntilServingAsync()));
                if (Array.TrueForAll(serving, s => s))
                {
                    return cluster;
                }
            }
            catch
            {
                await cluster.DisposeAsync();
                throw;
            }

            // Somebody took a port first: others will do.
            await cluster.DisposeAsync();
            if (attempt == MaxAttempts)
            {
                throw new InvalidOperationException(
                    $"{MaxAttempts} times etcd found its ports taken:\n{string.Join('\n', cluster.Members.Select(m => m.Output))}");
            }
        }
    }

    /// <summary>Starts a killed member again, and waits until it serves.</summary>
    public async Task StartMemberAsync(EtcdMember member)
    {
        await member.LaunchAsync(_initialCluster);
        if (!await member.WaitUntilServingAsync())
        {
            throw new InvalidOperationException($"The ports of {member.Name} were taken while it was down.");
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        foreach (var member in Members)
        {
            await member.DisposeAsync();
        }
    }
}
