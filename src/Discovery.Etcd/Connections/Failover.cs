using Discovery.Etcd.Auth;
using Discovery.Etcd.Transport;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Connections;

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
    /// <param name="operation">Its name.</param>
    /// <param name="tokens">Where the token comes from; <see langword="null"/> for the operation that fetches tokens.</param>
    /// <param name="runAsync">Makes one attempt; fails with <see cref="GrpcException"/>.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <exception cref="EtcdException">All attempts failed, or etcd refused.</exception>
    public async Task<T> RunAsync<T>(string operation, TokenSource? tokens, Func<Attempt, Task<T>> runAsync, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var log = new AttemptLog();
        var renewals = 0;
        using var limit = new CancellationTokenSource(options.RequestTimeout, time);
        using var total = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken, shutdown);
        try
        {
            while (true)
            {
                var token = tokens is null ? null : await tokens.GetAsync(total.Token);
                var left = options.RequestTimeout - time.GetElapsedTime(started);
                using var attempt = new Attempt(pool.Choose(log.Tried), token, LimitOf(log, left), left, time, total.Token);
                try
                {
                    var result = await runAsync(attempt);
                    attempt.Endpoint.Succeeded();
                    return result;
                }
                catch (GrpcException e) when (e.WantsNewToken && tokens is { IsEnabled: true } && renewals < MaxTokenRenewals)
                {
                    renewals++;
                    tokens.Invalidate(token);
                }
                catch (GrpcException e) when (e.IsTransient)
                {
                    await NoteAsync(operation, attempt.Endpoint, e, log, total.Token);
                }
                catch (OperationCanceledException) when (attempt.WasSilent && !total.IsCancellationRequested)
                {
                    var silence = GrpcException.Silent($"no answer within {attempt.Limit.TotalSeconds:0.###} s");
                    await NoteAsync(operation, attempt.Endpoint, silence, log, total.Token);
                }
                catch (GrpcException e)
                {
                    attempt.Endpoint.Succeeded();
                    throw EtcdErrors.Refused(operation, attempt.Endpoint.Name, e, options);
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            ObjectDisposedException.ThrowIf(shutdown.IsCancellationRequested, typeof(EtcdClient));
            throw EtcdErrors.Unreachable(operation, pool, log.Attempts, options);
        }
    }

    // After an unanswered attempt, short ones follow for a while. What a member took in while its leader was dead is lost without a word,
    // and only what is sent after the election is served; with attempts of full length, half a second would be wasted on average.
    private TimeSpan LimitOf(AttemptLog log, TimeSpan left)
    {
        var elapsed = options.RequestTimeout - left;
        return log.HasSilence && elapsed < options.AttemptTimeout * PatienceAfterSilence ? options.AttemptTimeout / ShortAttempts : options.AttemptTimeout;
    }

    private async Task NoteAsync(string operation, EtcdEndpoint endpoint, GrpcException failure, AttemptLog log, CancellationToken cancellationToken)
    {
        endpoint.Failed();
        Log.AttemptFailed(logger, operation, endpoint.Name, failure.Detail);
        if (log.Add(endpoint, failure, pool.All.Count))
        {
            await Task.Delay(Jitter.Spread(Jitter.Grow(FirstPause, log.Rounds, LongestPause)), time, cancellationToken);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "{Operation} failed at {Endpoint}: {Reason}")]
        public static partial void AttemptFailed(ILogger logger, string operation, string endpoint, string reason);
    }
}
