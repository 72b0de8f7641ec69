using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Watching;
using Microsoft.Extensions.Logging;
using Polly;

namespace Discovery.Etcd.Leasing;

/// <summary>
/// The work behind a keeper: while keys are wanted, hold a lease and keep them on it. Renewals and writes run side by side, so that a
/// write that hangs never costs the lease.
/// </summary>
internal sealed partial class LeaseLoop
{
    private static readonly TimeSpan UnexpectedPause = TimeSpan.FromSeconds(1);

    private readonly TimeSpan _wantedTimeToLive;
    private readonly LeaseClient _leases;
    private readonly WantedKeys _keys;
    private readonly LeaseStatusBoard _status;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ResiliencePipeline _pipeline;
    private readonly KeyConvergence _convergence;
    private readonly KeyGuard _guard;
    private int _quickLosses;

    public LeaseLoop(
        TimeSpan timeToLive, LeaseClient leases, KeyValueClient client, WatchMultiplexer watches, WantedKeys keys, LeaseStatusBoard status,
        Action<EtcdKeyValue> onTaken, TimeProvider time, ILogger logger)
    {
        _wantedTimeToLive = timeToLive;
        _leases = leases;
        _keys = keys;
        _status = status;
        _time = time;
        _logger = logger;
        _pipeline = LeaseRetry.Create(time, OnFailure, IsLeaseGone);
        _convergence = new KeyConvergence(keys, client, onTaken);
        _guard = new KeyGuard(watches, client, _convergence, _pipeline, () => status.LeaseId);
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await HoldOneLeaseAsync(cancellationToken);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                // The keeper or its client ended.
                return;
            }
            catch (Exception e)
            {
                // A mistake of ours, or of a handler of our events, must not end the registration for good.
                Log.Unexpected(_logger, e);
                await Task.Delay(UnexpectedPause, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task HoldOneLeaseAsync(CancellationToken cancellationToken)
    {
        await WaitForKeysAsync(cancellationToken);
        _status.Granting();
        var sentAt = _time.GetTimestamp();
        var lease = await _pipeline.ExecuteAsync(
            async token =>
            {
                sentAt = _time.GetTimestamp();
                return await _leases.GrantAsync(_wantedTimeToLive, token);
            },
            cancellationToken);
        Log.Granted(_logger, lease.Id, lease.TimeToLive);
        _keys.Reopen(lease.Id);
        await HoldAsync(lease, sentAt, cancellationToken);
        Log.Lost(_logger, lease.Id);
        _status.Lost();
        await PauseAfterQuickLossesAsync(sentAt, lease.TimeToLive, cancellationToken);
    }

    // One loss is made good at once. Leases that go as soon as they come (two clusters behind one address, a script that revokes them all)
    // would otherwise be asked for as fast as etcd can grant them.
    private async Task PauseAfterQuickLossesAsync(long sentAt, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        _quickLosses = _time.GetElapsedTime(sentAt) < timeToLive / 3 ? _quickLosses + 1 : 0;
        if (_quickLosses > 1)
        {
            await Task.Delay(Jitter.Spread(Jitter.Grow(LeaseRetry.FirstPause, _quickLosses - 1, LeaseRetry.LongestPause)), _time, cancellationToken);
        }
    }

    private static bool IsLeaseGone(EtcdException e) => e.Reason == EtcdErrorReason.LeaseNotFound;

    private async Task WaitForKeysAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var change = _keys.Changed.Next;
            if (_keys.Wanted > 0)
            {
                return;
            }

            await change.WaitAsync(cancellationToken);
        }
    }

    private async Task HoldAsync(EtcdLease lease, long sentAt, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var clock = new LeaseClock(_time);
        clock.Renewed(sentAt, lease.TimeToLive);
        _status.Held(lease.Id, clock);
        var renewal = new LeaseRenewal(_leases, lease.Id, clock, _status, _time, _logger).RunAsync(end.Token);
        var writing = WriteAsync(lease.Id, end, cancellationToken);
        await Task.WhenAny(renewal, writing);
        await end.CancelAsync();
        try
        {
            await Task.WhenAll(renewal, writing);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The one that did not notice the loss was told to end.
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task WriteAsync(long leaseId, CancellationTokenSource hold, CancellationToken keeper)
    {
        var work = new List<Task>();
        try
        {
            while (!hold.IsCancellationRequested)
            {
                var change = _keys.Changed.Next;
                foreach (var key in _keys.TakeOpen())
                {
                    work.Add(WriteOneAsync(key, leaseId, hold, keeper));
                }

                work.RemoveAll(t => t.IsCompleted);
                _status.Refresh();
                await change.WaitAsync(hold.Token);
            }
        }
        finally
        {
            await Task.WhenAll(work);
        }
    }

    private async Task WriteOneAsync(WantedKey key, long leaseId, CancellationTokenSource hold, CancellationToken keeper)
    {
        try
        {
            await _pipeline.ExecuteAsync(async token => await _convergence.ConvergeAsync(key, leaseId, token), hold.Token);
            if (key.Value is null)
            {
                await KeyGuard.UnwatchAsync(key);
            }
            else
            {
                _guard.Watch(key, keeper);
            }
        }
        catch (EtcdException e) when (IsLeaseGone(e))
        {
            await hold.CancelAsync();
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The lease was lost meanwhile, or the keeper ended.
        }
        finally
        {
            _keys.Release(key);
        }
    }

    private void OnFailure(Exception error, TimeSpan pause)
    {
        Log.Failed(_logger, pause, error.Message);
        _status.Failed(error);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "Lease {LeaseId:x} is granted for {TimeToLive}.")]
        public static partial void Granted(ILogger logger, long leaseId, TimeSpan timeToLive);

        [LoggerMessage(2, LogLevel.Warning, "Lease {LeaseId:x} is lost; another one is asked for and all keys are put on it.")]
        public static partial void Lost(ILogger logger, long leaseId);

        [LoggerMessage(3, LogLevel.Warning, "Keeping the keys in etcd failed; the next try is in {Pause}. {Reason}")]
        public static partial void Failed(ILogger logger, TimeSpan pause, string reason);

        [LoggerMessage(4, LogLevel.Error, "Keeping the keys in etcd failed unexpectedly; it is started over.")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}
