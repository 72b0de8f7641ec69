using Discovery.Etcd.Connections;
using Discovery.Etcd.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Calls;

/// <summary>
/// One operation under way. An attempt that fails is followed by another one, elsewhere. One that is not answered in time is not ended: etcd
/// may be slow, and all it has done so far would be lost; a second one is made elsewhere, and the first good answer counts.
/// </summary>
internal sealed partial class OperationRun<T>(Failover failover, Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken total)
    : IDisposable
{
    // Several, because each change of users or roles makes all tokens old; more than that is an error to report.
    private const int MaxTokenRenewals = 3;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    private readonly AttemptHistory _history = new();
    private readonly List<RunningAttempt> _running = [];
    private readonly HedgePolicy _hedging = new(failover, operation.Tokens);
    private readonly long _startedAt = failover.Time.GetTimestamp();
    private int _renewals;
    private TimeSpan _pause;
    private EtcdEndpoint? _afterElection;

    private IEnumerable<EtcdEndpoint> InFlight => _running.Select(r => r.Attempt.Endpoint);

    /// <summary>What failed so far, and what is unanswered.</summary>
    public IReadOnlyList<(EtcdEndpoint Endpoint, CallFailedException Failure)> Failures() =>
        [.. _history.Failures, .. _running.Where(r => r.Attempt.IsSilent).Select(r => (r.Attempt.Endpoint, Silence(r.Attempt)))];

    /// <summary>An endpoint whose answer is arriving, if one is.</summary>
    public EtcdEndpoint? Answering => _running.Find(r => r.Attempt.IsAnswering)?.Attempt.Endpoint;

    /// <summary>Makes attempts until one is answered.</summary>
    /// <exception cref="EtcdException">etcd refused, or an attempt failed that may not be repeated.</exception>
    /// <exception cref="OperationCanceledException">The time is up.</exception>
    public async Task<T> RunAsync()
    {
        while (true)
        {
            total.ThrowIfCancellationRequested();
            if (_running.Count < _hedging.Allowed && _pause == TimeSpan.Zero)
            {
                await StartAsync().ConfigureAwait(false);
            }

            await WaitAsync().ConfigureAwait(false);
            if (_running.Find(r => r.Task.IsCompleted) is { } ended)
            {
                _running.Remove(ended);
                if (await TryEndAsync(ended).ConfigureAwait(false) is (true, var result))
                {
                    return result;
                }
            }
        }
    }

    /// <summary>Takes in the first attempt, which was made already.</summary>
    /// <param name="first">The attempt.</param>
    /// <param name="adoptAsync">Waits for its answer.</param>
    public void Adopt(UnansweredCall first, Func<Attempt, Task<T>> adoptAsync)
    {
        var attempt = new Attempt(first.Endpoint, first.Token, failover.Options.AttemptTimeout, failover.Time, total, first.SentAt);
        Add(attempt, AcceptAsync(attempt, adoptAsync(attempt)), first.Term);
    }

    /// <summary>Ends what is still running.</summary>
    public void Dispose() => _running.ForEach(r => r.Abandon(TimeSpan.Zero));

    private async Task StartAsync()
    {
        var token = operation.Tokens is null ? null : await operation.Tokens.GetAsync(total).ConfigureAwait(false);
        var endpoint = _afterElection ?? Choose();
        var limit = operation.IsRepeatable ? failover.Options.AttemptTimeout : TimeSpan.MaxValue;
        var isBesideAnother = InFlight.Contains(endpoint);
        var attempt = new Attempt(endpoint, token, limit, failover.Time, total)
        {
            IsBesideAnother = isBesideAnother,
            UsesSecondConnection = isBesideAnother && _afterElection is null,
        };
        _afterElection = null;
        Add(attempt, AttemptAsync(attempt), failover.Pool.Term);
    }

    private void Add(Attempt attempt, Task<T> task, ulong term)
    {
        task = failover.Metrics is { MeasuresAttempts: true } metrics ? MeasureAsync(attempt, task, metrics) : task;
        _running.Add(new RunningAttempt(attempt, task, term));
    }

    private EtcdEndpoint Choose() =>
        _running.Count == 0 && operation.Preferred?.Invoke() is { } preferred
            ? preferred
            : failover.Pool.Choose(_running.Count == 0 ? _history.Tried : [.. _history.Tried, .. InFlight], operation.Kind);

    private async Task<T> AttemptAsync(Attempt attempt)
    {
        await failover.ClusterCheck.BeforeAsync(attempt).ConfigureAwait(false);
        return await AcceptAsync(attempt, runAsync(attempt)).ConfigureAwait(false);
    }

    private async Task<T> AcceptAsync(Attempt attempt, Task<T> response)
    {
        var result = await response.ConfigureAwait(false);
        failover.ClusterCheck.After(attempt);
        return result;
    }

    private async Task<T> MeasureAsync(Attempt attempt, Task<T> task, EtcdMetrics metrics)
    {
        string? error = null;
        try
        {
            return await task.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e switch
            {
                CallFailedException failure => ErrorTypes.Of(failure),
                OperationCanceledException => attempt.IsSilent ? ErrorTypes.Silence : ErrorTypes.Cancelled,
                _ => ErrorTypes.Other,
            };
            throw;
        }
        finally
        {
            metrics.OnAttempt(operation.Name, attempt.Endpoint.Address, error, attempt.Elapsed);
        }
    }

    // Until an attempt ends, or it is time to make another one.
    private async Task WaitAsync()
    {
        if (_running.Exists(r => r.Task.IsCompleted))
        {
            return;
        }

        if (_running.Count == 1 && _pause == TimeSpan.Zero && !_hedging.IsOverdue)
        {
            await WaitForOneAsync(_running[0]).ConfigureAwait(false);
            return;
        }

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(total);
        List<Task> awaited = [.. _running.Select(r => r.Task)];
        if (_hedging.IsOverdue)
        {
            awaited.Add(failover.Budget.Changed.Next);
            awaited.Add(failover.Elections.Answered.Next);
        }

        var wait = _pause > TimeSpan.Zero ? _pause : operation.IsRepeatable ? _hedging.NextLook(_running) : Timeout.InfiniteTimeSpan;
        var timer = Task.Delay(wait, failover.Time, enough.Token);
        awaited.Add(timer);
        var first = await Task.WhenAny(awaited).ConfigureAwait(false);
        enough.Cancel();
        total.ThrowIfCancellationRequested();
        if (_pause > TimeSpan.Zero)
        {
            _pause = first == timer ? TimeSpan.Zero : _pause;
        }
        else if (!_running.Exists(r => r.Task == first))
        {
            Hedge();
        }
    }

    // What nearly all operations do, and so without what waiting for one of several things takes.
    private async Task WaitForOneAsync(RunningAttempt running)
    {
        var wait = operation.IsRepeatable ? _hedging.NextLook(_running) : Timeout.InfiniteTimeSpan;
        await running.Task.WaitAsync(wait, failover.Time, total).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        total.ThrowIfCancellationRequested();
        if (!running.Task.IsCompleted)
        {
            Hedge();
        }
    }

    private void Hedge()
    {
        foreach (var running in _running.Where(r => r.IsNewlySilent()))
        {
            // Others are not to wait for it too. When it answers in the end, it is in good order again.
            running.Attempt.Endpoint.HealthOf(operation.Kind).Failed();
            Log.Unanswered(failover.Logger, operation.Name, running.Attempt.Endpoint.Name, running.Attempt.Elapsed.TotalSeconds);
        }

        // A member that was restored from a backup never answers a call whose token is from after the backup.
        foreach (var running in _running.Where(r => r.Attempt.IsSilent && operation.Tokens?.IsForgotten(r.Attempt.Token) == true).ToList())
        {
            _running.Remove(running);
            running.Abandon(TimeSpan.Zero);
        }

        _afterElection = _hedging.Look(_running)?.Attempt.Endpoint;
        if (_afterElection is not null && failover.Pool.All.Count == 1)
        {
            // Which of the members behind the address had it is not known, and one of them may hang.
            foreach (var connection in _running.Where(r => r.Attempt.IsSilent).Select(r => r.Attempt.Connection).OfType<EtcdConnection>())
            {
                _afterElection.ConnectionOf(operation.Kind).Replace(connection);
            }
        }
    }

    private async ValueTask<(bool, T)> TryEndAsync(RunningAttempt ended)
    {
        using var attempt = ended.Attempt;
        var endpoint = attempt.Endpoint;
        var health = endpoint.HealthOf(operation.Kind);
        try
        {
            var result = await ((Task<T>)ended.Task).ConfigureAwait(false);
            health.Succeeded();
            Won(ended);
            return (true, result);
        }
        catch (CallFailedException e) when (e.WantsNewToken && operation.Tokens is { IsEnabled: true } tokens && _renewals < MaxTokenRenewals)
        {
            _renewals++;
            tokens.Invalidate(attempt.Token);
        }
        catch (CallFailedException e) when (e.Kind == CallFailureKind.Planned)
        {
            // Ended by us, to be opened again: nobody's fault.
        }
        catch (CallFailedException e) when (e.IsTransient)
        {
            Failed(endpoint, health, e);
            if (!MayRepeat(e))
            {
                throw failover.Errors.NotRepeated(operation.Name, endpoint.Name, e);
            }
        }
        catch (CallFailedException e)
        {
            health.Succeeded();
            throw failover.Errors.Refused(operation.Name, endpoint.Name, e);
        }

        return default;
    }

    private void Won(RunningAttempt winner)
    {
        failover.Budget.Succeeded(isHedgeWon: _running.Exists(r => r.Number < winner.Number));

        // Who had clearly more time than the winner needed is silent, and not only slow.
        _running.ForEach(r => r.Abandon(winner.Attempt.Elapsed));
        _running.Clear();
    }

    private void Failed(EtcdEndpoint endpoint, EndpointHealth health, CallFailedException failure)
    {
        health.Failed(failure, failure.Kind == CallFailureKind.Silence ? null : failure.Detail);
        Log.AttemptFailed(failover.Logger, operation.Name, endpoint.Name, failure.Detail);
        failover.DialAnewIfOnlyAddress(endpoint, operation.Kind, failure);
        _history.Add(endpoint, failure);
        if (failover.Pool.AreAllAmong([.. _history.Tried, .. InFlight]))
        {
            _history.EndRound();
            _pause = Jitter.Spread(Jitter.Grow(FirstPause, _history.Rounds, LongestPause));
        }
    }

    // What is not safe to be sent twice is tried again only while it was surely not carried out, and not for ever.
    private bool MayRepeat(CallFailedException failure) =>
        operation.IsRepeatable
        || (failure.IsNotCarriedOut && failover.Time.GetElapsedTime(_startedAt) < failover.Options.RequestTimeout);

    // On a busy machine the operation is ended later than its limit, which is what its error names.
    private CallFailedException Silence(Attempt attempt)
    {
        var limit = operation.Limit ?? failover.Options.RequestTimeout;
        return CallFailedException.Silent($"no answer within {(attempt.Elapsed < limit ? attempt.Elapsed : limit).TotalSeconds:0.###} s");
    }

    private static partial class Log
    {
        [LoggerMessage(1031, LogLevel.Debug, "{Operation} failed at {Endpoint}: {Reason}")]
        public static partial void AttemptFailed(ILogger logger, string operation, string endpoint, string reason);

        [LoggerMessage(1032, LogLevel.Debug, "{Operation} at {Endpoint} has not been answered for {Seconds} s.")]
        public static partial void Unanswered(ILogger logger, string operation, string endpoint, double seconds);
    }
}
