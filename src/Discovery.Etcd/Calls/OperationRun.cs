using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Calls;

/// <summary>
/// One operation under way. An attempt that fails is followed by another one, elsewhere. One that is not answered in time is not ended: etcd
/// may be slow, and all it has done so far would be lost; a second one is made elsewhere, and the first good answer counts. More than these two
/// are only sent when the member that was asked had an election since: what it took in before is lost then without a word.
/// </summary>
internal sealed partial class OperationRun<T>(Failover failover, Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken total)
    : IDisposable
{
    // Several, because each change of users or roles makes all tokens old; more than that is an error to report.
    private const int MaxTokenRenewals = 3;

    // An election takes one to two seconds; that is when it has to be noticed soon.
    private const int QuestionsPerTimeout = 4;
    private const int FrequentQuestions = 8;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    private readonly AttemptHistory _history = new();
    private readonly List<RunningAttempt> _running = [];
    private readonly long _startedAt = failover.Time.GetTimestamp();
    private int _allowed = 1;
    private int _renewals;
    private TimeSpan _pause;
    private bool _isOverdue;
    private int _questions;
    private long _askedAt;
    private EtcdEndpoint? _afterElection;

    private IEnumerable<EtcdEndpoint> InFlight => _running.Select(r => r.Attempt.Endpoint);

    private TimeSpan AttemptTimeout => failover.Options.AttemptTimeout;

    /// <summary>What failed so far, and what is unanswered.</summary>
    public IReadOnlyList<(EtcdEndpoint Endpoint, CallFailedException Failure)> Failures() =>
        [.. _history.Failures, .. _running.Where(r => r.Attempt.IsSilent).Select(r => (r.Attempt.Endpoint, Silence(r.Attempt)))];

    public async Task<T> RunAsync()
    {
        while (true)
        {
            total.ThrowIfCancellationRequested();
            if (_running.Count < _allowed && _pause == TimeSpan.Zero)
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

    /// <summary>Ends what is still running.</summary>
    public void Dispose()
    {
        foreach (var running in _running)
        {
            Abandon(running, TimeSpan.Zero);
        }
    }

    private async Task StartAsync()
    {
        var token = operation.Tokens is null ? null : await operation.Tokens.GetAsync(total).ConfigureAwait(false);
        var endpoint = _afterElection ?? Choose();
        var attempt = new Attempt(endpoint, token, operation.IsRepeatable ? AttemptTimeout : TimeSpan.MaxValue, failover.Time, total)
        {
            UsesSecondConnection = _afterElection is null && _running.Exists(r => r.Attempt.Endpoint == endpoint),
        };
        _afterElection = null;
        _running.Add(new RunningAttempt(attempt, AttemptAsync(attempt)) { Term = failover.Pool.Term });
    }

    private EtcdEndpoint Choose() =>
        _running.Count == 0 && operation.Preferred?.Invoke() is { } preferred
            ? preferred
            : failover.Pool.Choose([.. _history.Tried, .. InFlight], operation.Kind);

    private async Task<T> AttemptAsync(Attempt attempt)
    {
        if (failover.Cluster.IsUnknown(attempt.Endpoint))
        {
            await CheckClusterAsync(attempt).ConfigureAwait(false);
        }

        var result = await runAsync(attempt).ConfigureAwait(false);
        if (attempt.Header is { } header)
        {
            Accept(attempt.Endpoint, header);
            attempt.Endpoint.ObserveTerm(header.RaftTerm);
        }

        return result;
    }

    // Before anything is written there: it might be another cluster's.
    private async Task CheckClusterAsync(Attempt attempt)
    {
        using var check = new Attempt(attempt.Endpoint, attempt.Token, TimeSpan.MaxValue, failover.Time, attempt.CancellationToken);
        try
        {
            var status = await new Maintenance.MaintenanceClient(new AttemptInvoker(check)).StatusAsync(new StatusRequest()).ConfigureAwait(false);
            Accept(attempt.Endpoint, status.Header ?? new ResponseHeader());
            attempt.Endpoint.ObserveTerm(status.Leader != 0 ? status.RaftTerm : 0);
        }
        catch (CallFailedException e) when (e.IsTransient && e.Kind != CallFailureKind.OtherCluster)
        {
            throw new CallFailedException(e.Code, e.Detail, CallFailureKind.NotConnected, e);
        }
        catch (CallFailedException e) when (!e.IsTransient && !e.WantsNewToken)
        {
            // It does not tell; then its answers will.
        }
    }

    private void Accept(EtcdEndpoint endpoint, ResponseHeader header)
    {
        if (!failover.Cluster.Accept(endpoint, header.ClusterId))
        {
            throw new CallFailedException(
                StatusCode.FailedPrecondition, $"it belongs to another cluster ({header.ClusterId:x})", CallFailureKind.OtherCluster);
        }
    }

    // Until an attempt ends, or it is time to make another one.
    private async Task WaitAsync()
    {
        if (_running.Exists(r => r.Task.IsCompleted))
        {
            return;
        }

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(total);
        List<Task> awaited = [.. _running.Select(r => r.Task)];
        var more = failover.Budget.Changed.Next;
        var news = failover.Elections.Answered.Next;
        var next = NextLook();
        var timer = Task.Delay(next, failover.Time, enough.Token);
        awaited.Add(timer);

        if (_isOverdue)
        {
            awaited.Add(news);
            awaited.Add(more);
        }

        var first = await Task.WhenAny(awaited).ConfigureAwait(false);
        enough.Cancel();
        total.ThrowIfCancellationRequested();
        if (_running.Exists(r => r.Task == first))
        {
            return;
        }

        if (_pause == TimeSpan.Zero)
        {
            Hedge();
        }
        else if (first == timer)
        {
            _pause = TimeSpan.Zero;
        }
    }

    private TimeSpan NextLook()
    {
        if (_pause > TimeSpan.Zero)
        {
            return _pause;
        }

        if (!operation.IsRepeatable || _running.Count == 0 || _running.Exists(r => r.Attempt.IsAnswering))
        {
            return Timeout.InfiniteTimeSpan;
        }

        var since = _isOverdue ? failover.Time.GetElapsedTime(_askedAt) : _running.Max(r => r.Attempt.Elapsed);
        var left = (_isOverdue ? Jitter.Grow(AttemptTimeout / QuestionsPerTimeout, _questions - FrequentQuestions, AttemptTimeout) : AttemptTimeout) - since;
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    // Whether the only attempt has been unanswered for too long.
    private bool IsHedgeDue => operation.IsRepeatable && _allowed == 1 && _running is [{ Attempt: { IsAnswering: false } attempt }]
        && attempt.Elapsed >= AttemptTimeout;

    private void Hedge()
    {
        _isOverdue = true;
        foreach (var running in _running.Where(r => !r.WasReported && r.Attempt.IsSilent))
        {
            // Others are not to wait for it too. When it answers in the end, it is in good order again.
            running.WasReported = true;
            running.Attempt.Endpoint.HealthOf(operation.Kind).Failed();
            Log.Unanswered(failover.Logger, operation.Name, running.Attempt.Endpoint.Name, AttemptTimeout.TotalSeconds);
        }

        if (IsHedgeDue && failover.Budget.TryTake())
        {
            _allowed = 2;
        }
        else if (_running.Find(r => r.HadElection) is { } lost)
        {
            _afterElection = lost.Attempt.Endpoint;
            _allowed = _running.Count + 1;
            _running.ForEach(r => r.Term = _afterElection.Term);
        }

        if (NextLook() == TimeSpan.Zero)
        {
            _questions++;
            _askedAt = failover.Time.GetTimestamp();
            _running.ForEach(r => failover.Elections.Ask(r.Attempt.Endpoint, r.Attempt.Token));
        }
    }

    private async ValueTask<(bool, T)> TryEndAsync(RunningAttempt ended)
    {
        using var attempt = ended.Attempt;
        var endpoint = attempt.Endpoint;
        var health = endpoint.HealthOf(operation.Kind);
        try
        {
            var result = await ended.Task.ConfigureAwait(false);
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
                throw EtcdErrors.NotRepeated(operation.Name, endpoint.Name, e);
            }
        }
        catch (CallFailedException e)
        {
            health.Succeeded();
            throw EtcdErrors.Refused(operation.Name, endpoint.Name, e, failover.Options);
        }

        return default;
    }

    private void Failed(EtcdEndpoint endpoint, EndpointHealth health, CallFailedException failure)
    {
        health.Failed();
        Log.AttemptFailed(failover.Logger, operation.Name, endpoint.Name, failure.Detail);
        if (failure is { Kind: CallFailureKind.Status, Code: StatusCode.Unavailable } && failover.Pool.All.Count == 1)
        {
            DialAnew(endpoint, health.Refused(), failure);
        }

        _history.Add(endpoint, failure);
        if (failover.Pool.AreAllAmong([.. _history.Tried, .. InFlight]))
        {
            _history.EndRound();
            _pause = Jitter.Spread(Jitter.Grow(FirstPause, _history.Rounds, LongestPause));
        }
    }

    // The member at the other end of the connection cannot serve, being a learner or cut off, and will not soon; another one may stand
    // behind the same address. With every doubling of the refusals, so that an outage does not become a storm of connections.
    private void DialAnew(EtcdEndpoint endpoint, int refusals, CallFailedException failure)
    {
        if (refusals < 2 || !(int.IsPow2(refusals) || refusals % 32 == 0))
        {
            return;
        }

        endpoint.ConnectionOf(operation.Kind).Replace();
        if (refusals == 2)
        {
            Log.OneAddress(failover.Logger, endpoint.Name, failure.Detail);
        }
    }

    // What is not safe to be sent twice is tried again only while no connection can be made, and not for ever.
    private bool MayRepeat(CallFailedException failure) =>
        operation.IsRepeatable
        || (failure.Kind is (CallFailureKind.NotConnected or CallFailureKind.OtherCluster) && failover.Time.GetElapsedTime(_startedAt) < failover.Options.RequestTimeout);

    private void Won(RunningAttempt winner)
    {
        failover.Budget.Succeeded(isHedgeWon: _running.Exists(r => r.Number < winner.Number));
        foreach (var loser in _running)
        {
            Abandon(loser, winner.Attempt.Elapsed);
        }

        _running.Clear();
    }

    private static void Abandon(RunningAttempt running, TimeSpan needed)
    {
        running.Attempt.Abandon(needed);
        _ = DisposeAsync(running);
    }

    private static CallFailedException Silence(Attempt attempt) => CallFailedException.Silent($"no answer within {attempt.Elapsed.TotalSeconds:0.###} s");

    private static async Task DisposeAsync(RunningAttempt running)
    {
        // How it ends is nobody's business any more.
        await ((Task)running.Task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        running.Attempt.Dispose();
    }

    private sealed class RunningAttempt(Attempt attempt, Task<T> task)
    {
        private static long _last;

        public Attempt Attempt => attempt;

        public Task<T> Task => task;

        /// <summary>Counts the attempts.</summary>
        public long Number { get; } = Interlocked.Increment(ref _last);

        public bool WasReported { get; set; }

        /// <summary>The raft term when it was sent, as far as is known; 0 while none is.</summary>
        public ulong Term { get; set; }

        /// <summary>Whether its member is known to have had an election since.</summary>
        public bool HadElection
        {
            get
            {
                var term = attempt.Endpoint.Term;
                if (Term == 0)
                {
                    Term = term;
                }

                return term > Term;
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "{Operation} failed at {Endpoint}: {Reason}")]
        public static partial void AttemptFailed(ILogger logger, string operation, string endpoint, string reason);

        [LoggerMessage(2, LogLevel.Debug, "{Operation} at {Endpoint} was not answered within {Seconds} s.")]
        public static partial void Unanswered(ILogger logger, string operation, string endpoint, double seconds);

        [LoggerMessage(3, LogLevel.Warning, "{Endpoint} answers again and again that it cannot serve ({Reason}), and is connected to anew. If it is "
            + "an address in front of several members, it hides them from the client: name the members' own URLs in Etcd:Endpoints.")]
        public static partial void OneAddress(ILogger logger, string endpoint, string reason);
    }
}
