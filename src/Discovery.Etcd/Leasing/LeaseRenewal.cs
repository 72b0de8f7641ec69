using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Leasing;

/// <summary>Renews one lease until it is lost.</summary>
internal sealed partial class LeaseRenewal(
    LeaseClient leases, long leaseId, LeaseClock clock, LeaseStatusBoard status, TimeProvider time, ILogger logger)
{
    // A machine that slept must be back in the registry within a second, so its sleep has to be noticed sooner than a renewal is due.
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(500);

    /// <summary>Renews until the lease is lost: etcd does not know it any more, or it ran out by our account.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var failedBefore = false;
        while (clock.Remaining > TimeSpan.Zero)
        {
            var paused = clock.WasPaused();
            if (paused)
            {
                Log.Paused(logger, leaseId);
            }

            if (paused || failedBefore || clock.IsRenewalDue)
            {
                switch (await RenewAsync(cancellationToken))
                {
                    case false:
                        return;
                    case var outcome:
                        failedBefore = outcome is null;
                        break;
                }
            }

            await Task.Delay(Tick, time, cancellationToken);
        }
    }

    // True: renewed. False: gone. Null: not known, for etcd did not answer.
    private async Task<bool?> RenewAsync(CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(clock.Remaining, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var sentAt = time.GetTimestamp();
        try
        {
            if (await leases.RenewAsync(leaseId, either.Token) is not { } lease)
            {
                return false;
            }

            clock.Renewed(sentAt, lease.TimeToLive);
            status.Renewed();
            return true;
        }
        catch (EtcdException e)
        {
            Log.RenewalFailed(logger, leaseId, clock.Remaining, e.Message);
            status.Failed(e);
            return null;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The process was paused; lease {LeaseId:x} is renewed now.")]
        public static partial void Paused(ILogger logger, long leaseId);

        [LoggerMessage(2, LogLevel.Warning, "Lease {LeaseId:x} could not be renewed; it lasts for another {Remaining}. {Reason}")]
        public static partial void RenewalFailed(ILogger logger, long leaseId, TimeSpan remaining, string reason);
    }
}
