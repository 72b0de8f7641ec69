using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Watching;
using Polly;

namespace Discovery.Etcd.Leasing;

/// <summary>Watches a keeper's own keys, so that a deletion or a change by somebody else is noticed at once.</summary>
internal sealed class KeyGuard(WatchMultiplexer watches, KeyValueClient client, KeyConvergence convergence, ResiliencePipeline pipeline, Func<long> leaseId)
{
    /// <summary>Watches a key from now on, if it is not watched yet.</summary>
    public void Watch(WantedKey key, CancellationToken cancellationToken)
    {
        if (key is { Watch: null, Value: not null, KnownAt: > 0 })
        {
            var range = KeyRange.Single(key.Key);
            key.Watch = watches.Add(key.Key, range, key.KnownAt + 1, clusterId: 0);
            _ = ReadAsync(key, range, key.Watch, cancellationToken);
        }
    }

    /// <summary>Ends the watch of a key.</summary>
    public static ValueTask UnwatchAsync(WantedKey key)
    {
        var watch = key.Watch;
        key.Watch = null;
        return watch?.DisposeAsync() ?? ValueTask.CompletedTask;
    }

    private async Task ReadAsync(WantedKey key, KeyRange range, EtcdWatch watch, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var update in watch.ReadAllAsync(cancellationToken))
            {
                foreach (var change in update.Events)
                {
                    convergence.Judge(key, change.Deleted ? null : change.Record, leaseId(), knownAt: null, update.Revision);
                }

                if (update.Kind == EtcdWatchUpdateKind.ListAgain)
                {
                    await ReadAgainAsync(key, range, watch, cancellationToken);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The keeper or its client ended.
        }
    }

    private async Task ReadAgainAsync(WantedKey key, KeyRange range, EtcdWatch watch, CancellationToken cancellationToken)
    {
        var knownAt = key.KnownAt;
        var (record, header) = await pipeline.ExecuteAsync(async token => await client.GetAsync(range, token), cancellationToken);
        convergence.Judge(key, record, leaseId(), knownAt, header.Revision);
        watch.Restart(header.Revision + 1, header.ClusterId);
    }
}
