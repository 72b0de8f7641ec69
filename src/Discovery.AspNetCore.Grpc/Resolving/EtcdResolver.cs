using Discovery.AspNetCore.Feeds;
using Discovery.Etcd;
using Grpc.Core;
using Grpc.Net.Client.Balancer;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Resolving;

/// <summary>
/// Hands each change of a service on to a channel. Once the service was seen, the channel keeps the last known instances, whatever etcd does.
/// </summary>
internal sealed partial class EtcdResolver(string serviceName, string scheme, FeedCatalog feeds, AddressList addresses, ILogger logger) : Resolver
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Action<ResolverResult>? _listener;
    private ResolverResult? _last;
    private bool _isDisposed;

    public override void Start(Action<ResolverResult> listener)
    {
        _listener = listener;
        var stop = _stop.Token;
        _ = Detached.Run(() => FollowAsync(stop));
    }

    /// <summary>
    /// Changes come by themselves. But a channel that has connections keeps them when it hears that there are no instances, and asks again
    /// when it has lost them; then it has to hear it once more.
    /// </summary>
    public override void Refresh()
    {
        // The channel holds its lock.
        ThreadPool.UnsafeQueueUserWorkItem(
            static resolver =>
            {
                lock (resolver._gate)
                {
                    if (resolver._last is { Status.StatusCode: not StatusCode.OK } failure)
                    {
                        resolver.PublishGateHeld(failure);
                    }
                }
            },
            this,
            preferLocal: false);
    }

    protected override void Dispose(bool disposing)
    {
        bool isFirst;
        lock (_gate)
        {
            isFirst = !_isDisposed;
            _isDisposed = true;
        }

        if (isFirst)
        {
            _stop.Cancel();
            _stop.Dispose();
        }

        base.Dispose(disposing);
    }

    private static async Task ChangedAsync(IChangeToken token, CancellationToken stop)
    {
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = token.RegisterChangeCallback(static s => ((TaskCompletionSource)s!).TrySetResult(), changed);
        await changed.Task.WaitAsync(stop).ConfigureAwait(false);
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        var feed = feeds.Acquire(serviceName);
        try
        {
            while (true)
            {
                // Before the snapshot, or a change between the two would be missed.
                var token = feed.Token;
                Publish(await FindAsync(feed, stop).ConfigureAwait(false));
                await ChangedAsync(token, stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The channel was disposed.
        }
        catch (Exception e)
        {
            // Nothing that is expected to fail gets here.
            Log.Failed(logger, serviceName, e);
            Publish(ResolverResult.ForFailure(new Status(StatusCode.Unavailable, $"Service '{serviceName}' cannot be followed any longer: {e.Message}")));
        }
        finally
        {
            feeds.Release(feed);
        }
    }

    private async ValueTask<ResolverResult> FindAsync(ServiceFeed feed, CancellationToken stop)
    {
        try
        {
            return addresses.Create(await feed.WaitForReadyAsync(stop).ConfigureAwait(false), scheme);
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            // There was no snapshot in time, or the settings are wrong. The feed goes on, and says when there is one.
            return ResolverResult.ForFailure(new Status(StatusCode.Unavailable, e.Message));
        }
    }

    private void Publish(ResolverResult result)
    {
        lock (_gate)
        {
            _last = result;
            PublishGateHeld(result);
        }
    }

    private void PublishGateHeld(ResolverResult result)
    {
        if (_isDisposed)
        {
            return;
        }

        try
        {
            _listener!(result);
        }
        catch (Exception e)
        {
            // The load balancer may be the application's own; the next change is another chance.
            Log.NotApplied(logger, serviceName, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4201, LogLevel.Error, "The load balancer of a channel to service '{Service}' failed to take over a change.")]
        public static partial void NotApplied(ILogger logger, string service, Exception exception);

        [LoggerMessage(4202, LogLevel.Error, "Following service '{Service}' for a channel failed unexpectedly; the channel hears of no further change.")]
        public static partial void Failed(ILogger logger, string service, Exception exception);
    }
}
