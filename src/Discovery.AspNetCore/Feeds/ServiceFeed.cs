using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Feeds;

/// <summary>
/// A service for those who follow it by change tokens. There is one subscription, however many follow, and changes that come close together
/// are announced as one.
/// </summary>
internal sealed partial class ServiceFeed : IDisposable
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private readonly IServiceDirectory _directory;
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private CancellationTokenSource _changed = new();
    private volatile ServiceSnapshot? _current;

    public ServiceFeed(IServiceDirectory directory, string serviceName, TimeSpan interval, TimeProvider time, ILogger logger)
    {
        _directory = directory;
        ServiceName = serviceName;
        _interval = interval;
        _time = time;
        _logger = logger;
        var stop = _stop.Token;
        _ = Detached.Run(() => FollowAsync(stop));
    }

    public string ServiceName { get; }

    /// <summary>The newest snapshot, or null before the first.</summary>
    public ServiceSnapshot? Current => _current;

    /// <summary>Tells when <see cref="Current"/> is replaced. Must be read before it, or a change in between is missed.</summary>
    public IChangeToken Token => new CancellationChangeToken(Volatile.Read(ref _changed).Token);

    /// <summary>Waits for the first snapshot.</summary>
    /// <exception cref="ServiceDiscoveryException">There was none in time.</exception>
    public async ValueTask<ServiceSnapshot> WaitForReadyAsync(CancellationToken cancellationToken)
    {
        if (_current is null)
        {
            var first = await _directory.WaitForReadyAsync(ServiceName, cancellationToken).ConfigureAwait(false);
            lock (_gate)
            {
                _current ??= first;
            }
        }

        return _current!;
    }

    /// <summary>Has those who follow look again: what they make of the snapshot depends on settings, which have changed.</summary>
    public void Announce()
    {
        if (_current is not null)
        {
            // Asynchronously, for whoever follows may do much in its callback.
            _ = Interlocked.Exchange(ref _changed, new CancellationTokenSource()).CancelAsync();
        }
    }

    /// <summary>Ends the subscription.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var snapshot in _directory.SubscribeAsync(ServiceName, stop).ConfigureAwait(false))
                {
                    if (Publish(snapshot))
                    {
                        // What comes meanwhile is skipped by the subscription: a slow reader gets the newest.
                        await Task.Delay(_interval, _time, stop).ConfigureAwait(false);
                    }
                }

                return;
            }
            catch (Exception) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (ObjectDisposedException e) when (EtcdServiceSource.IsDisposed(e) || e.ObjectName == typeof(IServiceDirectory).FullName)
            {
                // The application stops. What else is disposed may be a directory's of its own, for a moment.
                return;
            }
            catch (Exception e)
            {
                // The directory may be the application's own and throw anything, and without endpoints that of this library does.
                Log.SubscriptionFailed(_logger, ServiceName, e.Message);
            }

            await Task.Delay(RetryDelay, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private bool Publish(ServiceSnapshot snapshot)
    {
        lock (_gate)
        {
            if (snapshot == _current)
            {
                return false;
            }

            _current = snapshot;
        }

        Announce();
        return true;
    }

    private static partial class Log
    {
        [LoggerMessage(2901, LogLevel.Debug, "Service '{Service}' could not be followed and is soon again: {Problem}")]
        public static partial void SubscriptionFailed(ILogger logger, string service, string problem);
    }
}
