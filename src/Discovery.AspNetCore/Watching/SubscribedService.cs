using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>A service as the application's own <see cref="IServiceDirectory"/> has it: a test's, or another source's.</summary>
internal sealed partial class SubscribedService : IWatchedService
{
    private readonly IServiceDirectory _directory;
    private readonly string _serviceName;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    public SubscribedService(IServiceDirectory directory, string serviceName, ILogger logger)
    {
        _directory = directory;
        _serviceName = serviceName;
        _logger = logger;
        PublishFirst(directory.GetSnapshot(serviceName));
        _loop = Task.Run(() => FollowAsync(_stop.Token));
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
        try
        {
            await foreach (var snapshot in _directory.SubscribeAsync(_serviceName, stop).ConfigureAwait(false))
            {
                lock (_gate)
                {
                    if (snapshot != Feed.Current)
                    {
                        Feed.Publish(snapshot);
                    }
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The application stops.
        }
        catch (Exception e)
        {
            // The directory is the application's own and may throw anything. Calls go by the last snapshot.
            Log.SubscriptionFailed(_logger, _serviceName, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2131, LogLevel.Error, "The subscription to service '{Service}' failed; calls go by the last snapshot it had.")]
        public static partial void SubscriptionFailed(ILogger logger, string service, Exception exception);
    }
}
