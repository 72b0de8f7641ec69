using System.Diagnostics;
using Discovery.AspNetCore.Diagnostics.Tracing;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>What an application publishes as it drains and leaves. Each exchange with etcd has its limit, and none throws.</summary>
internal sealed partial class Deregistration(
    EtcdLeaseKeeper keeper, string instanceId, string? cluster, Func<EtcdRegistrationOptions> options, TimeProvider time, ILogger logger)
{
    /// <summary>
    /// Removes keys, which drain before: clients take a key that vanishes without draining for a crash. Where etcd is away for longer than is waited
    /// for, both happen when it is back.
    /// </summary>
    /// <param name="records">The keys.</param>
    /// <param name="isDesiredElsewhere">Whether another registration of this application desires a key in the same etcd: it serves on, so nothing drains.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public Task RemoveAsync(
        IReadOnlyDictionary<string, RegistrationRecord> records, Func<string, bool> isDesiredElsewhere, CancellationToken cancellationToken)
        => PublishDrainingAsync(
            records,
            (key, record) =>
            {
                if (isDesiredElsewhere(key))
                {
                    keeper.HandOver(key);
                }
                else if (record.DrainingValue is { } draining)
                {
                    keeper.Remove(key, draining);
                }
                else
                {
                    Leave(key, record);
                }
            },
            cancellationToken);

    /// <summary>Deletes the keys and revokes the lease.</summary>
    /// <returns>Whether etcd did.</returns>
    public async Task<bool> LeaveAsync(CancellationToken cancellationToken)
    {
        using var activity = Start(DiscoveryActivities.Deregister);
        var hasLeft = await PublishAsync("this application leaves", keeper.StopAsync, cancellationToken).ConfigureAwait(false);
        SetResult(activity, hasLeft);
        return hasLeft;
    }

    /// <summary>Has what is put from now on say that it drains, without waiting for etcd: also what is put on a lease that is granted just now.</summary>
    public void BeginDraining(IReadOnlyDictionary<string, RegistrationRecord> standing)
    {
        try
        {
            foreach (var (key, record) in standing)
            {
                if (record.DrainingValue is { } draining)
                {
                    keeper.Update(key, draining);
                }
            }
        }
        catch (ObjectDisposedException)
        {
            // The application disposed its client before it stopped: nothing is put any more.
        }
    }

    /// <summary>
    /// Waits until it is published that the application drains, and serves on for a moment. Without etcd no client learns of it, and nothing is waited
    /// for. To be called after <see cref="BeginDraining"/>.
    /// </summary>
    /// <param name="standing">What etcd has.</param>
    /// <param name="serving">Cancelled when nothing is served any more.</param>
    /// <param name="cancellationToken">Ends both.</param>
    public async Task DrainAsync(
        IReadOnlyDictionary<string, RegistrationRecord> standing, CancellationToken serving, CancellationToken cancellationToken)
    {
        if (standing.Count == 0)
        {
            // What was withdrawn in an outage may still have to drain.
            await PublishDrainingAsync(standing, static (_, _) => { }, cancellationToken).ConfigureAwait(false);
            return;
        }

        using var activity = Start(DiscoveryActivities.Drain);
        var isPublished = await PublishDrainingAsync(
            standing,
            (key, record) =>
            {
                if (record.DrainingValue is null)
                {
                    Leave(key, record);
                }
            },
            cancellationToken).ConfigureAwait(false);
        SetResult(activity, isPublished);
        if (isPublished)
        {
            var delay = options().GracefulStop && !serving.IsCancellationRequested ? options().DrainDelay : TimeSpan.Zero;
            Log.Draining(logger, delay);
            await PauseAsync(delay, serving).ConfigureAwait(false);
        }
    }

    /// <summary>The application left: it serves on for those that have not heard.</summary>
    public Task ServeOnAsync(int keys, CancellationToken serving)
    {
        Log.Left(logger, keys);
        return PauseAsync(options().GracefulStop ? options().LeaveDelay : TimeSpan.Zero, serving);
    }

    /// <summary>The stop was ended before etcd was told.</summary>
    public void OnCutShort() => Log.CutShort(logger);

    /// <returns>Whether etcd has it.</returns>
    private Task<bool> PublishDrainingAsync(
        IReadOnlyDictionary<string, RegistrationRecord> records, Action<string, RegistrationRecord> drain, CancellationToken cancellationToken)
        => PublishAsync(
            "this application drains",
            limit =>
            {
                foreach (var (key, record) in records)
                {
                    drain(key, record);
                }

                return keeper.FlushAsync(limit);
            },
            cancellationToken);

    /// <summary>A format that knows no draining: its key goes, or is left to others that have the same.</summary>
    private void Leave(string key, RegistrationRecord record)
    {
        if (record.IsShared)
        {
            keeper.HandOver(key);
        }
        else
        {
            keeper.Remove(key);
        }
    }

    private Activity? Start(string name)
    {
        var activity = DiscoveryActivities.StartRoot(name, service: null, cluster);
        activity?.SetTag("discovery.instance", instanceId);
        return activity;
    }

    private void SetResult(Activity? activity, bool isDone)
    {
        if (!isDone)
        {
            activity.SetFailed("not_published", keeper.Status.LastError?.Message);
        }
    }

    private async Task<bool> PublishAsync(string what, Func<CancellationToken, Task> publish, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(options().StopTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await publish(either.Token).ConfigureAwait(false);
            return true;
        }
        catch (ObjectDisposedException)
        {
            // The application disposed its client before it stopped: there is nothing to publish with, and nothing to warn of.
            return false;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Not for want of time: something else comes first.
            return false;
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            var reason = keeper.Status.LastError ?? (e is EtcdException ? e : new TimeoutException("etcd did not answer."));
            if (reason is EtcdException refusal && RegistrationReport.IsLasting(refusal))
            {
                Log.NotTaken(logger, what, refusal.Message);
            }
            else
            {
                Log.NotPublished(logger, what, options().StopTimeout, reason.Message);
            }

            return false;
        }
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken cancellationToken)
        => await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private static partial class Log
    {
        [LoggerMessage(2711, LogLevel.Information, "This application drains; it serves on for {Delay}.")]
        public static partial void Draining(ILogger logger, TimeSpan delay);

        [LoggerMessage(2712, LogLevel.Information, "This application left etcd, keys: {Keys}.")]
        public static partial void Left(ILogger logger, int keys);

        [LoggerMessage(2713, LogLevel.Warning, "etcd could not be told within {Limit} (Etcd:Registration:StopTimeout) that {What}. {Reason}")]
        public static partial void NotPublished(ILogger logger, string what, TimeSpan limit, string reason);

        [LoggerMessage(2715, LogLevel.Warning, "etcd refuses this application's keys, so it was not told that {What}. {Reason}")]
        public static partial void NotTaken(ILogger logger, string what, string reason);

        [LoggerMessage(2714, LogLevel.Warning, "The stop was cut short, by HostOptions.ShutdownTimeout or by whoever asked for it, before etcd "
            + "was told that this application leaves; its keys go when it is disposed, or with their lease.")]
        public static partial void CutShort(ILogger logger);
    }
}
