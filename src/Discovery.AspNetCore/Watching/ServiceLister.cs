using Discovery.AspNetCore.Diagnostics;
using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Polly.Retry;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Lists services, a few at a time: when etcd comes back or compacts, every service of every process wants to be listed, and etcd
/// must not be knocked over by that.
/// </summary>
internal sealed class ServiceLister
{
    /// <summary>The longest pause between two tries.</summary>
    public static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan MaxSpread = TimeSpan.FromMilliseconds(500);

    /// <summary>After which time without an answer the cause is looked for, and how long; together less than a second.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(400);

    private readonly IServiceSource _source;
    private readonly TimeProvider _time;
    private readonly ListQueue _agreed = new();

    // Without a quorum the lists of the agreed state hang, and would keep one member's own view from being asked for.
    private readonly ListQueue _own = new();
    private int _diagnosing;
    private int _services;
    private int _isPolling;

    public ServiceLister(IServiceSource source, TimeProvider time, ILogger? logger = null)
    {
        _source = source;
        _time = time;
        AgainLines = new LogLimit(time);
        Outage = new ListOutage(new Lazy<EtcdOutage>(() => source.Outage ?? new EtcdOutage(time)), time, logger ?? NullLogger.Instance);
    }

    public ListOutage Outage { get; }

    /// <summary>Keeps the services of an application, which may all be listed again at once, from flooding the log.</summary>
    public LogLimit AgainLines { get; }

    /// <summary>How often a service is listed that cannot be watched: the more services, the less often.</summary>
    public TimeSpan PollInterval
        => (TimeSpan.FromSeconds(3) + (TimeSpan.FromMilliseconds(20) * Volatile.Read(ref _services))) * (0.8 + (0.4 * Random.Shared.NextDouble()));

    /// <summary>One service more, or less, is listed.</summary>
    public void CountServices(int change) => Interlocked.Add(ref _services, change);

    /// <summary>Lists stand in for watches, or no longer.</summary>
    /// <returns>Whether that is news.</returns>
    public bool SetPolling(bool isPolling) => Interlocked.Exchange(ref _isPolling, isPolling ? 1 : 0) != (isPolling ? 1 : 0);

    /// <summary>Waits a random moment, so that the many clients of a cluster do not list in the same one.</summary>
    public Task SpreadAsync(CancellationToken cancellationToken) => Task.Delay(MaxSpread * Random.Shared.NextDouble(), _time, cancellationToken);

    /// <summary>Lists once.</summary>
    /// <exception cref="EtcdException">It failed.</exception>
    public async Task<EtcdListing> ListOnceAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
    {
        var queue = QueueOf(consistency);
        await queue.EnterAsync(cancellationToken).ConfigureAwait(false);
        return await ListInTurnAsync(queue, prefix, consistency, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Lists once within a limit that begins with the list's turn: the time in the line is not etcd's silence. Where etcd is silent to those
    /// ahead in the line, it is so to all.
    /// </summary>
    /// <exception cref="EtcdException">It failed, or was not answered within the limit.</exception>
    public async Task<EtcdListing> ListFirstAsync(string prefix, EtcdReadConsistency consistency, TimeSpan limit, CancellationToken cancellationToken)
    {
        var queue = QueueOf(consistency);
        var answersBefore = await queue.EnterAsync(cancellationToken).ConfigureAwait(false);
        using var silence = new CancellationTokenSource(limit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        var list = ListInTurnAsync(queue, prefix, consistency, either.Token);
        var diagnosis = DiagnoseAsync(list, either.Token);
        try
        {
            return await list.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            var message = $"etcd did not answer within {limit.TotalSeconds:0.###} s.";
            var cause = Outage.Cause as EtcdException
                ?? new EtcdException(message, new Status(StatusCode.DeadlineExceeded, message), "Range", [.. _source.Endpoints.Select(static e => e.ToString())]);
            queue.FailWaiting(answersBefore, cause);
            throw cause;
        }
        finally
        {
            await either.CancelAsync().ConfigureAwait(false);
            await diagnosis.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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
        return await pipeline.ExecuteAsync(
            async ct => await ListOnceAsync(prefix, EtcdReadConsistency.Linearizable, ct).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
    }

    private ListQueue QueueOf(EtcdReadConsistency consistency) => consistency == EtcdReadConsistency.Linearizable ? _agreed : _own;

    private async Task<EtcdListing> ListInTurnAsync(
        ListQueue queue, string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
    {
        var isAnswered = false;
        try
        {
            var listing = await _source.ListAsync(prefix, consistency, cancellationToken).ConfigureAwait(false);
            isAnswered = true;
            if (consistency == EtcdReadConsistency.Linearizable)
            {
                Outage.OnListed();
            }

            return listing;
        }
        catch (EtcdException e) when (e.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded)
        {
            Outage.OnFailed(e);
            throw;
        }
        finally
        {
            queue.Leave(isAnswered);
        }
    }

    /// <summary>
    /// Finds out early why a list is not answered: the client tries on until its own limit and tells the cause only then, which may be after
    /// the deadlines of those who wait.
    /// </summary>
    private async Task DiagnoseAsync(Task list, CancellationToken cancellationToken)
    {
        await Task.WhenAny(list, Task.Delay(Patience, _time, cancellationToken)).ConfigureAwait(false);
        if (list.IsCompleted || Interlocked.Exchange(ref _diagnosing, 1) != 0)
        {
            return;
        }

        try
        {
            if (await _source.FindFailureAsync(Patience, cancellationToken).ConfigureAwait(false) is { } failure && !list.IsCompletedSuccessfully)
            {
                Outage.OnFailed(failure);
            }
        }
        finally
        {
            Volatile.Write(ref _diagnosing, 0);
        }
    }
}
