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

    /// <summary>After which time without an answer the cause is looked for, and how long; together less than a second. Twice as much each further time.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(400);

    private readonly IServiceSource _source;
    private readonly TimeProvider _time;
    private readonly ListQueue _agreed;

    // Without a quorum the lists of the agreed state hang, and would keep one member's own view from being asked for.
    private readonly ListQueue _own;
    private int _diagnosing;
    private int _services;
    private int _isPolling;

    public ServiceLister(IServiceSource source, TimeProvider time, ILogger? logger = null)
    {
        _source = source;
        _time = time;
        _agreed = new ListQueue(source.MostListsTogether, turn => ListInTurnAsync(turn, EtcdReadConsistency.Linearizable));
        _own = new ListQueue(source.MostListsTogether, turn => ListInTurnAsync(turn, EtcdReadConsistency.Serializable));
        AgainLines = new LogLimit(time);
        RejectedLines = new LogLimit(time);
        Outage = new ListOutage(new Lazy<EtcdOutage>(() => source.Outage ?? new EtcdOutage(time)), time, logger ?? NullLogger.Instance);
    }

    public ListOutage Outage { get; }

    /// <summary>Keeps the services of an application, which may all be listed again at once, from flooding the log.</summary>
    public LogLimit AgainLines { get; }

    /// <summary>The same for watches that are refused, each at every try.</summary>
    public LogLimit RejectedLines { get; }

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
    public Task<EtcdListing> ListOnceAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => ListAsync(new ListRequest(prefix, null), consistency, Timeout.InfiniteTimeSpan, cancellationToken);

    /// <summary>
    /// Lists once within a limit that begins with the list's turn: the time in the line is not etcd's silence. Where etcd is silent to those
    /// ahead in the line, it is so to all.
    /// </summary>
    /// <param name="prefix">The prefix of the keys.</param>
    /// <param name="onPage">Learns the pages of a long list as they come, but for the last.</param>
    /// <param name="consistency">What the read may cost and promise.</param>
    /// <param name="limit">The limit.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="EtcdException">It failed, or was not answered within the limit.</exception>
    public Task<EtcdListing> ListFirstAsync(
        string prefix, Action<IReadOnlyList<EtcdKeyValue>>? onPage, EtcdReadConsistency consistency, TimeSpan limit, CancellationToken cancellationToken)
        => ListAsync(new ListRequest(prefix, onPage), consistency, limit, cancellationToken);

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

    private async Task<EtcdListing> ListAsync(ListRequest request, EtcdReadConsistency consistency, TimeSpan limit, CancellationToken cancellationToken)
    {
        var queue = consistency == EtcdReadConsistency.Linearizable ? _agreed : _own;
        var (turn, index) = await queue.EnterAsync(request, alone: false, cancellationToken).ConfigureAwait(false);
        try
        {
            return await WaitAsync(queue, turn, index, limit, cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e) when (turn.IsShared && !IsAway(e))
        {
            // Refused for the sake of another list maybe, such as one that the user may not read, or as too many at once.
            (turn, index) = await queue.EnterAsync(request, alone: true, cancellationToken).ConfigureAwait(false);
            return await WaitAsync(queue, turn, index, limit, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<EtcdListing> WaitAsync(ListQueue queue, ListTurn turn, int index, TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            return (await turn.Lists.WaitAsync(limit, _time, cancellationToken).ConfigureAwait(false))[index];
        }
        catch (TimeoutException)
        {
            turn.GiveUp();
            var message = $"etcd did not answer within {limit.TotalSeconds:0.###} s.";
            var cause = Outage.Cause as EtcdException
                ?? new EtcdException(message, new Status(StatusCode.DeadlineExceeded, message), "Range", [.. _source.Endpoints.Select(static e => e.ToString())]);
            queue.FailWaiting(turn, cause);
            throw cause;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            turn.GiveUp();
            throw;
        }
    }

    private static bool IsAway(EtcdException failure) => failure.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded;

    private async Task<IReadOnlyList<EtcdListing>> ListInTurnAsync(ListTurn turn, EtcdReadConsistency consistency)
    {
        using var answered = CancellationTokenSource.CreateLinkedTokenSource(turn.CancellationToken);
        var lists = turn.IsShared
            ? _source.ListTogetherAsync([.. turn.Requests.Select(static r => r.Prefix)], consistency, turn.CancellationToken)
            : ListAloneAsync(turn.Requests[0], consistency, turn.CancellationToken);
        _ = DiagnoseAsync(lists, answered.Token);
        try
        {
            var listings = await lists.ConfigureAwait(false);
            if (consistency == EtcdReadConsistency.Linearizable)
            {
                Outage.OnListed();
            }

            return listings;
        }
        catch (EtcdException e) when (IsAway(e))
        {
            Outage.OnFailed(e);
            throw;
        }
        finally
        {
#pragma warning disable CA1849 // Little hangs on it, and those who wait for the list would wait for another thread.
            answered.Cancel();
#pragma warning restore CA1849
        }
    }

    private async Task<IReadOnlyList<EtcdListing>> ListAloneAsync(ListRequest request, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => [await _source.ListAsync(request.Prefix, request.OnPage, consistency, cancellationToken).ConfigureAwait(false)];

    /// <summary>
    /// Finds out early why a list is not answered: the client tries on until its own limit and tells the cause only then, which may be after
    /// the deadlines of those who wait. A first look may come too early, as when the process has only just started.
    /// </summary>
    private async Task DiagnoseAsync(Task list, CancellationToken cancellationToken)
    {
        for (var patience = Patience; !list.IsCompleted && !cancellationToken.IsCancellationRequested; patience = patience < MaxPause ? patience * 2 : patience)
        {
            await list.WaitAsync(patience, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (list.IsCompleted || Interlocked.Exchange(ref _diagnosing, 1) != 0)
            {
                continue;
            }

            try
            {
                if (await _source.FindFailureAsync(patience, cancellationToken).ConfigureAwait(false) is { } failure && !list.IsCompletedSuccessfully)
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
}
