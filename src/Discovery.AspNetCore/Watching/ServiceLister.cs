using Discovery.Etcd;
using Polly;
using Polly.Retry;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Lists services, a few at a time: when etcd comes back or compacts, every service of every process wants to be listed, and etcd
/// must not be knocked over by that.
/// </summary>
internal sealed class ServiceLister : IDisposable
{
    /// <summary>The longest pause between two tries.</summary>
    public static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(5);

    private const int MaxConcurrency = 4;
    private static readonly TimeSpan MaxSpread = TimeSpan.FromMilliseconds(500);

    private readonly IServiceSource _source;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _agreed = new(MaxConcurrency);

    // Without a quorum the lists of the agreed state hang, and would keep one member's own view from being asked for.
    private readonly SemaphoreSlim _own = new(MaxConcurrency);

    public ServiceLister(IServiceSource source, TimeProvider time)
    {
        _source = source;
        _time = time;
    }

    /// <summary>Waits a random moment, so that the many clients of a cluster do not list in the same one.</summary>
    public Task SpreadAsync(CancellationToken cancellationToken) => Task.Delay(MaxSpread * Random.Shared.NextDouble(), _time, cancellationToken);

    /// <summary>Lists once.</summary>
    public async ValueTask<EtcdListing> ListOnceAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
    {
        var gate = consistency == EtcdReadConsistency.Linearizable ? _agreed : _own;
        await gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await _source.ListAsync(prefix, consistency, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Lists the cluster's agreed state, again and again until it can be had.</summary>
    public async ValueTask<EtcdListing> ListAsync(string prefix, Action<Exception> onFailure, CancellationToken cancellationToken)
    {
        var pipeline = new ResiliencePipelineBuilder<EtcdListing> { TimeProvider = _time }
            .AddRetry(new RetryStrategyOptions<EtcdListing>
            {
                ShouldHandle = new PredicateBuilder<EtcdListing>().Handle<EtcdException>(),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(200),
                MaxDelay = MaxPause,
                OnRetry = arguments =>
                {
                    onFailure(arguments.Outcome.Exception!);
                    return default;
                },
            })
            .Build();
        return await pipeline.ExecuteAsync(ct => ListOnceAsync(prefix, EtcdReadConsistency.Linearizable, ct), cancellationToken).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _agreed.Dispose();
        _own.Dispose();
    }
}
