using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>Renews a lease until it is lost, or until it is due and there is no key to hold.</summary>
internal sealed partial class LeaseRenewal(LeaseRequests leases, DesiredKeys keys, KeeperFailures failures, TimeProvider time, ILogger logger)
{
    // A machine that slept must be back in the registry within a second, so its sleep has to be noticed sooner than a renewal is due.
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(500);

    // Timers take no more than 49 days, and leases may live longer.
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    private static readonly FailureCause Cause = new(FailureArea.Lease);

    private enum Outcome
    {
        Renewed,
        Unknown,
        Gone,
    }

    /// <summary>Renews until etcd does not know the lease any more, it ran out by our account, or it was given up.</summary>
    /// <returns>Whether the lease was given up, for want of keys; <see langword="false"/>: it is lost.</returns>
    public async Task<bool> RunAsync(HeldLease lease, CancellationToken cancellationToken)
    {
        var last = Outcome.Renewed;
        while (lease.Clock.Remaining > TimeSpan.Zero)
        {
            var doubted = lease.Doubted;
            var wasPaused = lease.Clock.WasPaused();
            if (wasPaused)
            {
                Log.Paused(logger, lease.Id);
            }

            if (wasPaused || lease.IsInDoubt || last == Outcome.Unknown || lease.Clock.IsRenewalDue)
            {
                if (keys.TryRetire(lease))
                {
                    await RevokeAsync(lease, cancellationToken).ConfigureAwait(false);
                    return true;
                }

                last = await RenewAsync(lease, cancellationToken).ConfigureAwait(false);
                if (last == Outcome.Gone)
                {
                    return false;
                }

                // Without an answer the writes will tell.
                keys.TrustLease(lease);
            }

            await Task.WhenAny(doubted, Task.Delay(Tick, time, cancellationToken)).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }

        return false;
    }

    private async Task<Outcome> RenewAsync(HeldLease lease, CancellationToken cancellationToken)
    {
        var left = lease.Clock.Remaining;
        using var limit = new CancellationTokenSource(left < LongestWait ? left : LongestWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var sentAt = time.GetTimestamp();
        try
        {
            if (await leases.RenewAsync(lease.Id, either.Token).ConfigureAwait(false) is not { } renewed)
            {
                return Outcome.Gone;
            }

            lease.Clock.Renewed(sentAt, renewed.TimeToLive);
            failures.Succeeded(Cause);
            return Outcome.Renewed;
        }
        catch (EtcdException e)
        {
            failures.Failed(Cause, e);
            return Outcome.Unknown;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            if (left > LongestWait)
            {
                return Outcome.Unknown;
            }

            failures.Failed(Cause, new TimeoutException($"etcd did not answer the renewal of lease {lease.Id:x} before it ran out."));
            return Outcome.Gone;
        }
    }

    private async Task RevokeAsync(HeldLease lease, CancellationToken cancellationToken)
    {
        Log.Unused(logger, lease.Id);
        try
        {
            await leases.RevokeAsync(lease.Id, cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e)
        {
            // Nothing hangs on it: it may as well run out.
            Log.RevocationFailed(logger, lease.Id, e.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1106, LogLevel.Information, "The process was paused; lease {LeaseId:x} is renewed now.")]
        public static partial void Paused(ILogger logger, long leaseId);

        [LoggerMessage(1107, LogLevel.Debug, "No key is kept on lease {LeaseId:x} any more; it is revoked instead of renewed.")]
        public static partial void Unused(ILogger logger, long leaseId);

        [LoggerMessage(1108, LogLevel.Debug, "Lease {LeaseId:x} could not be revoked; it runs out by itself. {Reason}")]
        public static partial void RevocationFailed(ILogger logger, long leaseId, string reason);
    }
}
