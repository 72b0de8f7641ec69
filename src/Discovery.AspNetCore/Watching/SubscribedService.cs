using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>A service as the application's own <see cref="IServiceDirectory"/> has it: a test's, or another source's.</summary>
internal sealed partial class SubscribedService : IWatchedService
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    private readonly IServiceDirectory _directory;
    private readonly string _serviceName;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    public SubscribedService(IServiceDirectory directory, string serviceName, TimeProvider time, ILogger logger)
    {
        _directory = directory;
        _serviceName = serviceName;
        _time = time;
        _logger = logger;
        PublishFirst(directory.GetSnapshot(serviceName));
        _loop = Detached.Run(() => FollowAsync(_stop.Token));
    }

    public SnapshotFeed Feed { get; } = new();

    public bool HasOwnLimit => true;

    public ServiceStatus Status => _directory.GetStatus(_serviceName);

    public async ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken)
        => PublishFirst(await _directory.WaitForReadyAsync(_serviceName, cancellationToken).ConfigureAwait(false))!;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        Feed.Close();
        _stop.Dispose();
    }

    /// <summary>Publishes a snapshot that did not come by the subscription, unless one did, which may be newer.</summary>
    private ServiceSnapshot? PublishFirst(ServiceSnapshot? snapshot)
    {
        lock (_gate)
        {
            if (Feed.Current is null && snapshot is not null)
            {
                Feed.Publish(snapshot);
            }

            return Feed.Current;
        }
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        var isReported = false;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var snapshot in _directory.SubscribeAsync(_serviceName, stop).ConfigureAwait(false))
                {
                    isReported = false;
                    lock (_gate)
                    {
                        if (snapshot != Feed.Current)
                        {
                            Feed.Publish(snapshot);
                        }
                    }
                }

                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                // The application stops.
                return;
            }
            catch (Exception e)
            {
                // The directory is the application's own and may throw anything, also for ever: that is said once. Calls go by the last snapshot.
                if (!isReported)
                {
                    isReported = true;
                    Log.SubscriptionFailed(_logger, _serviceName, e);
                }
            }

            await Task.Delay(RetryDelay, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2131, LogLevel.Error, "The subscription to service '{Service}' failed and is soon begun again; until then calls go by the last snapshot it had.")]
        public static partial void SubscriptionFailed(ILogger logger, string service, Exception exception);
    }
}
