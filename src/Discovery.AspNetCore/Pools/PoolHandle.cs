using Discovery.AspNetCore.Clusters;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The pool of a service, for what an application may keep for as long as it likes, such as a channel: a pool that was forgotten since the last
/// call is made anew.
/// </summary>
/// <param name="pools">All pools.</param>
/// <param name="serviceName">The service's name.</param>
/// <param name="cluster">The cluster; null for the one that the service's settings name.</param>
internal sealed class PoolHandle(PoolCache pools, string serviceName, Cluster? cluster)
{
    private volatile PoolEntry? _entry;

    /// <summary>The pool, for a call: it counts as used.</summary>
    public ServicePool Use()
    {
        var entry = _entry;
        if (entry?.Pool is not { } pool)
        {
            return UseNew();
        }

        entry.OnUsed();
        return pool;
    }

    /// <summary>The pool, for somebody who asks for its instances: it is kept while there are any.</summary>
    public ServicePool UseInstances()
    {
        var pool = Use();
        if (_entry is { IsListed: false } entry)
        {
            entry.IsListed = true;
        }

        return pool;
    }

    private ServicePool UseNew()
    {
        while (true)
        {
            var entry = pools.GetEntry(serviceName, cluster);
            _entry = entry;
            entry.OnUsed();

            // It may be forgotten at this very moment, and is found no longer then.
            if (entry.Pool is { } pool)
            {
                return pool;
            }
        }
    }
}
