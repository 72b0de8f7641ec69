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
/// <param name="errors">Words failures; default: for the section <c>Etcd</c>.</param>
internal sealed partial class Failover(
    EtcdClientOptions options,
    EndpointPool pool,
    ClusterIdentity cluster,
    TimeProvider time,
    ILogger logger,
    CancellationToken shutdown,
    EtcdMetrics? metrics = null,
    EtcdErrors? errors = null)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(400);

    public EtcdClientOptions Options => options;

    public EtcdErrors Errors { get; } = errors ?? new EtcdErrors(options);

    public EndpointPool Pool => pool;

    public ClusterIdentity Cluster => cluster;

    public ClusterCheck ClusterCheck { get; } = new(cluster, time);

    /// <summary>How many operations may be sent a second time.</summary>
    public HedgeBudget Budget { get; } = new();

    /// <summary>Finds out about elections.</summary>
    public ElectionProbe Elections { get; } = new(options.AttemptTimeout, time, shutdown);

    /// <summary>The first attempts that are under way.</summary>
    public UnansweredCalls Unanswered { get; } =
        new(options.AttemptTimeout < options.RequestTimeout ? options.AttemptTimeout : options.RequestTimeout, time);

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    public EtcdMetrics? Metrics => metrics;

    /// <summary>Runs an operation.</summary>
    /// <param name="operation">What to run.</param>
    /// <param name="runAsync">Makes one attempt; fails with <see cref="CallFailedException"/>.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <exception cref="EtcdException">All attempts failed, or etcd refused.</exception>
    public Task<T> RunAsync<T>(Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken cancellationToken) =>
        Measure(operation.Name, StartMeasuring(), RunUnmeasuredAsync(operation, runAsync, cancellationToken));

    /// <summary>Runs an operation of which somebody else measures how long it takes.</summary>
    /// <inheritdoc cref="RunAsync"/>
    public Task<T> RunUnmeasuredAsync<T>(Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken cancellationToken) =>
        RunWithinLimitAsync(operation, runAsync, null, null, cancellationToken);

    /// <summary>Goes on with an operation whose first attempt was made already, and failed or is unanswered.</summary>
    /// <param name="operation">What to run.</param>
    /// <param name="runAsync">Makes one more attempt; fails with <see cref="CallFailedException"/>.</param>
    /// <param name="first">The first attempt.</param>
    /// <param name="adoptAsync">Waits for the answer to the first attempt.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <exception cref="EtcdException">All attempts failed, or etcd refused.</exception>
    public Task<T> ContinueAsync<T>(
        Operation operation, Func<Attempt, Task<T>> runAsync, UnansweredCall first, Func<Attempt, Task<T>> adoptAsync, CancellationToken cancellationToken) =>
        RunWithinLimitAsync(operation, runAsync, first, adoptAsync, cancellationToken);

    /// <summary>The time at which something begins whose duration somebody wants to know.</summary>
    public long? StartMeasuring() => metrics is { MeasuresOperations: true } ? time.GetTimestamp() : null;

    /// <summary>Measures how long an operation takes.</summary>
    /// <param name="operation">What it is called.</param>
    /// <param name="startedAt">What <see cref="StartMeasuring"/> gave.</param>
    /// <param name="run">The operation, under way.</param>
    public Task<T> Measure<T>(string operation, long? startedAt, Task<T> run) =>
        startedAt is { } at && metrics is not null ? MeasureAsync(operation, at, run, metrics) : run;

    private async Task<T> MeasureAsync<T>(string operation, long startedAt, Task<T> run, EtcdMetrics measured)
    {
        string? error = null;
        try
        {
            return await run.ConfigureAwait(false);
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
            measured.OnOperation(operation, error, time.GetElapsedTime(startedAt));
        }
    }

    private async Task<T> RunWithinLimitAsync<T>(
        Operation operation, Func<Attempt, Task<T>> runAsync, UnansweredCall? first, Func<Attempt, Task<T>>? adoptAsync, CancellationToken cancellationToken)
    {
        var limit = operation.Limit ?? (operation.IsRepeatable ? options.RequestTimeout : Timeout.InfiniteTimeSpan);
        if (first is not null)
        {
            var left = limit - time.GetElapsedTime(first.SentAt);
            limit = left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }

        // One source with registrations of its own: linking takes another one, for a limit on the clock that was given cannot be linked.
        using var total = new CancellationTokenSource(limit, time);
        using var byCaller = cancellationToken.UnsafeRegister(static t => ((CancellationTokenSource)t!).Cancel(), total);
        using var byShutdown = shutdown.UnsafeRegister(static t => ((CancellationTokenSource)t!).Cancel(), total);
        using var run = new OperationRun<T>(this, operation, runAsync, total.Token);
        if (first is not null)
        {
            run.Adopt(first, adoptAsync!);
        }

        try
        {
            return await run.RunAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (cancellationToken.IsCancellationRequested)
        {
            // Callers tell their own cancellation from others by the token.
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            ObjectDisposedException.ThrowIf(shutdown.IsCancellationRequested, typeof(EtcdClient));

            // Why others failed before says more than that one was just coming.
            var failures = run.Failures();
            throw failures.Count == 0 && run.Answering is { } endpoint
                ? Errors.Incomplete(operation.Name, endpoint, operation.Limit)
                : Errors.Unreachable(operation.Name, pool, failures, operation.Limit);
        }
    }

    /// <summary>
    /// Has the next call dial anew where there is one address and the member there answers again and again that it cannot serve: it will not soon,
    /// and another one may stand behind the same address. With every doubling of the refusals, so that an outage does not become a storm of
    /// connections.
    /// </summary>
    public void DialAnewIfOnlyAddress(EtcdEndpoint endpoint, CallKind kind, CallFailedException failure)
    {
        if (!failure.IsUnableToServe || pool.All.Count > 1 || endpoint.HealthOf(kind).Refused() is not (>= 2 and var refusals)
            || !(int.IsPow2(refusals) || refusals % 32 == 0))
        {
            return;
        }

        endpoint.ConnectionOf(kind).Replace();
        if (refusals == 2)
        {
            Log.OneAddress(logger, endpoint.Name, failure.Detail, Errors.Section);
        }
    }

    /// <summary>
    /// Tells early why an operation is not answered. It tries on until its own limit, which is long for somebody who watches a start.
    /// </summary>
    /// <param name="operation">The operation, which goes by calls.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="told">What was told of an operation before it, if that is to be told once.</param>
    /// <param name="tell">Learns the cause, and once more a refusal by TLS, which no waiting mends, where the cause seemed to be another one.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task TellEarlyAsync(Task operation, string name, EtcdException? told, Action<EtcdException> tell, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        while (!operation.IsCompleted && !cancellationToken.IsCancellationRequested && told?.Reason != EtcdErrorReason.TlsFailed)
        {
            await operation.WaitAsync(Patience, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            // A server that refuses a certificate may break off before its words come through, and looks as if it were away. A later attempt tells.
            if (!operation.IsCompleted
                && FindCause(name, time.GetElapsedTime(startedAt)) is { } cause
                && (told is null || cause.Reason == EtcdErrorReason.TlsFailed))
            {
                tell(cause);
                told = cause;
            }
        }
    }

    /// <summary>The failures of all endpoints; null when one has none, and the answer may be under way.</summary>
    private EtcdException? FindCause(string operation, TimeSpan elapsed)
    {
        var failures = pool.All.Select(static e => (Endpoint: e, Failure: e.CallHealth.Cause as CallFailedException)).ToList();
        return failures.TrueForAll(static f => f.Failure is not null)
            ? Errors.Unreachable(operation, pool, [.. failures.Select(static f => (f.Endpoint, f.Failure!))], elapsed, isUnderWay: true)
            : null;
    }

    private static partial class Log
    {
        [LoggerMessage(1033, LogLevel.Warning, "{Endpoint} answers again and again that it cannot serve ({Reason}), and is connected to anew. If it is "
            + "an address in front of several members, it hides them from the client: name the members' own URLs in {Section}:Endpoints.")]
        public static partial void OneAddress(ILogger logger, string endpoint, string reason, string section);
    }
}
