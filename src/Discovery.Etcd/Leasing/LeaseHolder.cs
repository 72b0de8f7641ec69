using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>Holds a lease while keys are desired: asks for one, renews it, and asks for another when it is lost.</summary>
internal sealed partial class LeaseHolder(
    TimeSpan timeToLive, LeaseRequests leases, DesiredKeys keys, KeeperFailures failures, LeaseStatusPublisher status, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan UnexpectedPause = TimeSpan.FromSeconds(1);

    private static readonly FailureCause Cause = new(FailureArea.Lease);

    private readonly LeaseRenewal _renewal = new(leases, keys, failures, time, logger);
    private int _quickLosses;

    /// <summary>Runs until it is cancelled, or the client ended.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await WaitForKeysAsync(cancellationToken).ConfigureAwait(false);
                await HoldOneLeaseAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is ObjectDisposedException || cancellationToken.IsCancellationRequested)
            {
                // The keeper or its client ended.
                return;
            }
            catch (Exception e)
            {
                // A mistake of ours must not end the registration for good.
                Log.Unexpected(logger, e);
                await Task.Delay(UnexpectedPause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task WaitForKeysAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var change = keys.Changed.Next;
            if (keys.Desired > 0)
            {
                return;
            }

            status.Set(EtcdLeaseState.Idle);
            await change.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task HoldOneLeaseAsync(CancellationToken cancellationToken)
    {
        status.Set(EtcdLeaseState.Granting);
        var sentAt = time.GetTimestamp();
        if (await GrantAsync(cancellationToken).ConfigureAwait(false) is not { } lease)
        {
            return;
        }

        Log.Granted(logger, lease.Id, lease.Clock.TimeToLive);
        status.Set(EtcdLeaseState.Held, lease);
        keys.LeaseGranted(lease);
        if (await HoldAsync(lease, cancellationToken).ConfigureAwait(false))
        {
            _quickLosses = 0;
            return;
        }

        // No warning: whoever keeps the lease learns it by the status, and knows what it means.
        Log.Lost(logger, lease.Id);
        status.Set(EtcdLeaseState.Lost);
        await PauseAfterQuickLossesAsync(sentAt, lease.Clock.TimeToLive, cancellationToken).ConfigureAwait(false);
    }

    private async Task<HeldLease?> GrantAsync(CancellationToken cancellationToken)
    {
        for (var failed = 1; keys.Desired > 0; failed++)
        {
            try
            {
                var sentAt = time.GetTimestamp();
                var granted = await GrantOnceAsync(cancellationToken).ConfigureAwait(false);
                var clock = new LeaseClock(time);
                clock.Renewed(sentAt, granted.TimeToLive);
                if (clock.Remaining < granted.TimeToLive / 2)
                {
                    // The answer was long in coming, and may be that to a late attempt or to the first one: a renewal tells for how long it lives.
                    sentAt = time.GetTimestamp();
                    if (await leases.RenewAsync(granted.Id, cancellationToken).ConfigureAwait(false) is not { } renewed)
                    {
                        continue;
                    }

                    clock.Renewed(sentAt, renewed.TimeToLive);
                }

                failures.Succeeded(Cause);
                return new HeldLease(granted.Id, clock);
            }
            catch (EtcdException e)
            {
                failures.Failed(Cause, e);
                await Task.Delay(RetryDelay.After(e, failed), time, cancellationToken).ConfigureAwait(false);
            }
        }

        failures.Succeeded(Cause);
        return null;
    }

    private async Task<EtcdLease> GrantOnceAsync(CancellationToken cancellationToken)
    {
        var grant = leases.GrantAsync(timeToLive, cancellationToken);
        await leases.TellEarlyAsync(grant, cause => failures.Failed(Cause, cause), cancellationToken).ConfigureAwait(false);
        return await grant.ConfigureAwait(false);
    }

    // True: given up, for want of keys. False: lost.
    private async Task<bool> HoldAsync(HeldLease lease, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(lease.Ended, cancellationToken);
        try
        {
            return await _renewal.RunAsync(lease, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // A write noticed the loss, or the last key was removed together with the lease.
            return lease.IsRetired;
        }
        finally
        {
            keys.LeaseLost(lease);
            await lease.EndAsync().ConfigureAwait(false);
        }
    }

    // One loss is made good at once. Leases that go as soon as they come (two clusters behind one address, a script that revokes them all)
    // would otherwise be asked for as fast as etcd can grant them.
    private async Task PauseAfterQuickLossesAsync(long sentAt, TimeSpan granted, CancellationToken cancellationToken)
    {
        _quickLosses = time.GetElapsedTime(sentAt) < granted / 3 ? _quickLosses + 1 : 0;
        if (_quickLosses > 1)
        {
            await Task.Delay(RetryDelay.Temporary(_quickLosses - 1), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1101, LogLevel.Debug, "Lease {LeaseId:x} is granted for {TimeToLive}.")]
        public static partial void Granted(ILogger logger, long leaseId, TimeSpan timeToLive);

        [LoggerMessage(1102, LogLevel.Information, "Lease {LeaseId:x} is lost; another one is asked for and all keys are put on it.")]
        public static partial void Lost(ILogger logger, long leaseId);

        [LoggerMessage(1103, LogLevel.Error, "Holding the lease failed unexpectedly; it is started over.")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}
