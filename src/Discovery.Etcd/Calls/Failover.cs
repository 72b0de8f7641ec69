using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Calls;

/// <summary>
/// Runs one operation at one endpoint after another, each with a short limit, until one answers or the total limit passes. Tokens are
/// renewed where that is the remedy.
/// </summary>
internal sealed partial class Failover(EtcdClientOptions options, EndpointPool pool, TimeProvider time, ILogger logger, CancellationToken shutdown)
{
    // Several, because each change of users or roles makes all tokens old; more than that is an error to report.
    private const int MaxTokenRenewals = 3;

    // Elections take one to two times etcd's default election timeout of 1 s.
    private const double PatienceAfterSilence = 2.5;
    private const int ShortAttempts = 4;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    /// <summary>Runs an operation.</summary>
    /// <param name="operation">What to run.</param>
    /// <param name="runAsync">Makes one attempt; fails with <see cref="CallFailedException"/>.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <exception cref="EtcdException">All attempts failed, or etcd refused.</exception>
    public async Task<T> RunAsync<T>(Operation operation, Func<Attempt, Task<T>> runAsync, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var history = new AttemptHistory();
        var renewals = 0;
        var tokens = operation.Tokens;
        using var limit = new CancellationTokenSource(operation.Limit ?? (operation.IsRepeatable ? options.RequestTimeout : Timeout.InfiniteTimeSpan), time);
        using var total = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken, shutdown);
        try
        {
            while (true)
            {
                var token = tokens is null ? null : await tokens.GetAsync(total.Token).ConfigureAwait(false);
                var endpoint = operation.Preferred?.Invoke() ?? pool.Choose(history.Tried);
                var silence = operation.IsRepeatable ? LimitOf(history, time.GetElapsedTime(started)) : Timeout.InfiniteTimeSpan;
                using var attempt = new Attempt(endpoint, token, silence, time, total.Token);
                try
                {
                    var result = await runAsync(attempt).ConfigureAwait(false);
                    endpoint.Succeeded();
                    return result;
                }
                catch (CallFailedException e) when (e.WantsNewToken && tokens is { IsEnabled: true } && renewals < MaxTokenRenewals)
                {
                    renewals++;
                    tokens.Invalidate(token);
                }
                catch (CallFailedException e) when (e.IsTransient && MayRepeat(operation, e, started))
                {
                    await AfterFailureAsync(operation.Name, endpoint, e, history, total.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (attempt.WasSilent && !total.IsCancellationRequested)
                {
                    var failure = CallFailedException.Silent($"no answer within {attempt.Limit.TotalSeconds:0.###} s");
                    await AfterFailureAsync(operation.Name, endpoint, failure, history, total.Token).ConfigureAwait(false);
                }
                catch (CallFailedException e) when (e.IsTransient)
                {
                    endpoint.Failed();
                    throw EtcdErrors.NotRepeated(operation.Name, endpoint.Name, e);
                }
                catch (CallFailedException e)
                {
                    endpoint.Succeeded();
                    throw EtcdErrors.Refused(operation.Name, endpoint.Name, e, options);
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            ObjectDisposedException.ThrowIf(shutdown.IsCancellationRequested, typeof(EtcdClient));
            throw EtcdErrors.Unreachable(operation.Name, pool, history.Failures, operation.Limit, options);
        }
    }

    // After an unanswered attempt, short ones follow for a while. What a member took in while its leader was dead is lost without a word,
    // and only what is sent after the election is served; with attempts of full length, half a second would be wasted on average.
    private TimeSpan LimitOf(AttemptHistory history, TimeSpan elapsed) =>
        history.HasSilence && elapsed < options.AttemptTimeout * PatienceAfterSilence ? options.AttemptTimeout / ShortAttempts : options.AttemptTimeout;

    // What is not safe to be sent twice is tried again only while no connection can be made, and not for ever.
    private bool MayRepeat(Operation operation, CallFailedException failure, long started) =>
        operation.IsRepeatable || (failure.Kind == CallFailureKind.NotConnected && time.GetElapsedTime(started) < options.RequestTimeout);

    private async Task AfterFailureAsync(string operation, EtcdEndpoint endpoint, CallFailedException failure, AttemptHistory history, CancellationToken cancellationToken)
    {
        endpoint.Failed();
        Log.AttemptFailed(logger, operation, endpoint.Name, failure.Detail);
        if (history.Add(endpoint, failure, pool.All.Count))
        {
            await Task.Delay(Jitter.Spread(Jitter.Grow(FirstPause, history.Rounds, LongestPause)), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "{Operation} failed at {Endpoint}: {Reason}")]
        public static partial void AttemptFailed(ILogger logger, string operation, string endpoint, string reason);
    }
}
