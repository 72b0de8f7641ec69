using Discovery.Etcd.Connections;
using Discovery.Etcd.Diagnostics;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Calls;

/// <summary>
/// Runs operations at one endpoint after another until one answers or the total limit passes. Tokens are renewed where that is the remedy.
/// </summary>
/// <param name="options">The limits.</param>
/// <param name="pool">The endpoints.</param>
/// <param name="cluster">Which cluster they belong to.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Where to log.</param>
/// <param name="shutdown">Ends all operations.</param>
/// <param name="metrics">What is measured; default: nothing.</param>
internal sealed class Failover(
    EtcdClientOptions options,
    EndpointPool pool,
    ClusterIdentity cluster,
    TimeProvider time,
    ILogger logger,
    CancellationToken shutdown,
    EtcdMetrics? metrics = null)
{
    public EtcdClientOptions Options => options;

    public EndpointPool Pool => pool;

    public ClusterIdentity Cluster => cluster;

    public ClusterCheck ClusterCheck { get; } = new(cluster, time);

    /// <summary>How many operations may be sent a second time.</summary>
    public HedgeBudget Budget { get; } = new();

    /// <summary>Finds out about elections.</summary>
    public ElectionProbe Elections { get; } = new(options.AttemptTimeout, time, shutdown);

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    public EtcdMetrics? Metrics => metrics;

    /// <summary>Runs an operation.</summary>
    /// <param name="operation">What to run.</param>
    /// <param name="runAsync">Makes one attempt; fails with <see cref="CallFailedException"/>.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <exception cref="EtcdException">All attempts failed, or etcd refused.</exception>
    public Task<T> RunAsync<T>(Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken cancellationToken)
        => metrics is { MeasuresOperations: true }
            ? MeasureAsync(operation, runAsync, metrics, cancellationToken)
            : RunWithinLimitAsync(operation, runAsync, cancellationToken);

    private async Task<T> MeasureAsync<T>(Operation operation, Func<Attempt, Task<T>> runAsync, EtcdMetrics measured, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        string? error = null;
        try
        {
            return await RunWithinLimitAsync(operation, runAsync, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e switch
            {
                RpcException failure => ErrorTypes.Of(failure.StatusCode),
                OperationCanceledException or ObjectDisposedException => ErrorTypes.Cancelled,
                _ => ErrorTypes.Other,
            };
            throw;
        }
        finally
        {
            measured.OnOperation(operation.Name, error, time.GetElapsedTime(startedAt));
        }
    }

    private async Task<T> RunWithinLimitAsync<T>(Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken cancellationToken)
    {
        // One source with registrations of its own: linking takes another one, for a limit on the clock that was given cannot be linked.
        using var total = new CancellationTokenSource(operation.Limit ?? (operation.IsRepeatable ? options.RequestTimeout : Timeout.InfiniteTimeSpan), time);
        using var byCaller = cancellationToken.UnsafeRegister(static t => ((CancellationTokenSource)t!).Cancel(), total);
        using var byShutdown = shutdown.UnsafeRegister(static t => ((CancellationTokenSource)t!).Cancel(), total);
        using var run = new OperationRun<T>(this, operation, runAsync, total.Token);
        try
        {
            return await run.RunAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            ObjectDisposedException.ThrowIf(shutdown.IsCancellationRequested, typeof(EtcdClient));
            throw EtcdErrors.Unreachable(operation.Name, pool, run.Failures(), operation.Limit, options);
        }
    }

    /// <summary>Why an operation has no answer yet, which itself tells only at its end.</summary>
    /// <param name="operation">The operation, which goes by calls.</param>
    /// <param name="elapsed">For how long it has been under way.</param>
    /// <returns>The failures of all endpoints; <see langword="null"/> when one has none, and the answer may be under way.</returns>
    public EtcdException? FindCause(string operation, TimeSpan elapsed)
    {
        var failures = pool.All.Select(static e => (Endpoint: e, Failure: e.CallHealth.Cause as CallFailedException)).ToList();
        return failures.TrueForAll(static f => f.Failure is not null)
            ? EtcdErrors.Unreachable(operation, pool, [.. failures.Select(static f => (f.Endpoint, f.Failure!))], elapsed, options)
            : null;
    }
}
