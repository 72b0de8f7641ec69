using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Feeds;

/// <summary>The feeds of the services that are in use, one each.</summary>
internal sealed class FeedCatalog : IDisposable
{
    private readonly IServiceDirectory _directory;
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IDisposable _reload;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (ServiceFeed Feed, int Users)> _byName = new(StringComparer.Ordinal);

    private FeedCatalog(IServiceDirectory directory, IConfiguration configuration, TimeSpan interval, TimeProvider time, ILogger logger)
    {
        _directory = directory;
        _interval = interval;
        _time = time;
        _logger = logger;
        _reload = ChangeToken.OnChange(configuration.GetReloadToken, Announce);
    }

    /// <summary>Takes what it needs from an application's services.</summary>
    /// <param name="services">The services.</param>
    /// <param name="interval">How long changes are collected after one was announced.</param>
    public static FeedCatalog Create(IServiceProvider services, TimeSpan interval)
        => new(
            services.GetRequiredService<IServiceDirectory>(),
            services.GetRequiredService<IConfiguration>(),
            interval,
            services.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider),
            services.GetRequiredService<ILogger<IServiceDirectory>>());

    /// <summary>The feed of a service, to be released as often as it was acquired.</summary>
    public ServiceFeed Acquire(string serviceName)
    {
        lock (_gate)
        {
            var (feed, users) = _byName.GetValueOrDefault(serviceName);
            feed ??= new ServiceFeed(_directory, serviceName, _interval, _time, _logger);
            _byName[serviceName] = (feed, users + 1);
            return feed;
        }
    }

    /// <summary>Ends the feed if nobody else uses it.</summary>
    public void Release(ServiceFeed feed)
    {
        lock (_gate)
        {
            if (!_byName.TryGetValue(feed.ServiceName, out var entry) || entry.Feed != feed)
            {
                // The catalog was disposed before, and the feed with it.
                return;
            }

            if (entry.Users > 1)
            {
                _byName[feed.ServiceName] = (feed, entry.Users - 1);
                return;
            }

            _byName.Remove(feed.ServiceName);
        }

        feed.Dispose();
    }

    public void Dispose()
    {
        _reload.Dispose();
        lock (_gate)
        {
            foreach (var (feed, _) in _byName.Values)
            {
                feed.Dispose();
            }

            _byName.Clear();
        }
    }

    private void Announce()
    {
        lock (_gate)
        {
            foreach (var (feed, _) in _byName.Values)
            {
                feed.Announce();
            }
        }
    }
}
