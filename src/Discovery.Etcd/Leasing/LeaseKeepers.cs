namespace Discovery.Etcd.Leasing;

/// <summary>The keepers of a client that still live.</summary>
internal sealed class LeaseKeepers : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly HashSet<EtcdLeaseKeeper> _keepers = [];

    public EtcdLeaseKeeper Add(EtcdLeaseKeeper keeper)
    {
        lock (_gate)
        {
            _keepers.Add(keeper);
        }

        keeper.StatusChanged += status =>
        {
            if (status.State == EtcdLeaseState.Stopped)
            {
                lock (_gate)
                {
                    _keepers.Remove(keeper);
                }
            }
        };
        return keeper;
    }

    public async ValueTask DisposeAsync()
    {
        EtcdLeaseKeeper[] all;
        lock (_gate)
        {
            all = [.. _keepers];
        }

        foreach (var keeper in all)
        {
            await keeper.DisposeAsync().ConfigureAwait(false);
        }
    }
}
