using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>All watched services of one cluster.</summary>
internal sealed partial class ServiceDirectory : IServiceDirectory, IAsyncDisposable, IDisposable
{
    /// <summary>How long a service is watched that no client calls and nobody asks for.</summary>
    public static readonly TimeSpan IdleTime = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();

    /// <summary>By name, and by where the instances come from: a layout and its prefix, or the settings.</summary>
    private readonly Dictionary<(string Service, string Layout, string Origin), DirectoryEntry> _entries = [];
    private readonly IServiceSource _source;
    private readonly DiscoverySettings _settings;
    private readonly LayoutCatalog _layouts;
    private readonly TimeProvider _time;
    private readonly ILogger<IServiceDirectory> _logger;
    private readonly ServiceLister _lister;
    private readonly SharedListing _listing;
    private readonly ITimer _sweep;
    private readonly DiscoveryMetrics? _metrics;
    private bool _disposed;

    public ServiceDirectory(
        IServiceSource source,
        DiscoverySettings settings,
        LayoutCatalog layouts,
        ListingPlanner planner,
        TimeProvider time,
        ILogger<IServiceDirectory> logger,
        DiscoveryMetrics? metrics = null)
    {
        _source = source;
        _settings = settings;
        _layouts = layouts;
        _time = time;
        _logger = logger;
        _lister = new ServiceLister(source, time, logger);
        _listing = new SharedListing(source, planner, time, logger);
        _sweep = Detached.CreateTimer(time, EndIdle, IdleTime / 10);
        _metrics = metrics;
        metrics?.Observed.AddServices(() => Services);
    }

    public IReadOnlyCollection<ServiceStatus> Services
    {
        get
        {
            lock (_gate)
            {
                return [.. _entries.Values.Select(static e => e.Service.Status).OrderBy(static s => s.Prefix, StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>The watched services with their snapshots. Unlike <see cref="GetSnapshot"/> it does not count as use, so that a page that shows them keeps none alive.</summary>
    public IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> Peek()
    {
        lock (_gate)
        {
            return [.. _entries.Values.Select(static e => (e.Service.Status, e.Service.Feed.Current))];
        }
    }

    public ServiceSnapshot? GetSnapshot(string serviceName) => Find(serviceName)?.Feed.Current;

    public ServiceStatus GetStatus(string serviceName) => Find(serviceName)?.Status ?? new ServiceStatus
    {
        ServiceName = serviceName,
        Cluster = _source.Cluster,
        Prefix = PrefixOf(serviceName, _layouts.Parse(_settings.Get(serviceName).Layout)),
        IsReady = false,
        IsConnected = false,
        Revision = 0,
    };

    public async ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
    {
        var entry = Acquire(serviceName, null);
        try
        {
            return await entry.Service.WaitForReadyAsync(_settings.Get(serviceName).ReadyTimeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Release(entry);
        }
    }

    public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default)
    {
        // Here rather than at the first read, so that a wrong name is said to whoever subscribes.
        Release(Acquire(serviceName, null));
        return ReadAsync(serviceName, cancellationToken);
    }

    public ValueTask<ServiceListing> ListServicesAsync(CancellationToken cancellationToken = default)
        => _listing.ListAsync(_settings.GetGeneral().ReadyTimeout, cancellationToken);

    public IAsyncEnumerable<ServiceListing> WatchServicesAsync(CancellationToken cancellationToken = default) => _listing.WatchAsync(cancellationToken);

    /// <summary>Has the service watched, until it is released and nobody asks for it for a while. The first caller's settings apply.</summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="wanted">The options by which it is looked for; null for those of its settings.</param>
    /// <exception cref="ArgumentException">The name is no service name, or etcd is needed and <c>Etcd:Endpoints</c> is empty.</exception>
    public DirectoryEntry Acquire(string serviceName, EtcdDiscoveryOptions? wanted)
    {
        Check(serviceName);
        var options = wanted ?? _settings.Get(serviceName);
        var layouts = options.Instances.Count > 0 ? null : _layouts.Parse(options.Layout);
        var key = layouts is null ? (serviceName, "", string.Join(',', options.Instances)) : KeyOf(serviceName, layouts);
        if (layouts is not null)
        {
            // Here rather than in the watcher's loop: without endpoints this throws, and the caller is to see it.
            _ = _source.Endpoints;
        }

        DirectoryEntry? entry;
        string? contradiction;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(IServiceDirectory));
            if (!_entries.TryGetValue(key, out entry))
            {
                IWatchedService service = layouts is null
                    ? new StaticService(serviceName, options.Instances, _time)
                    : Watch(serviceName, layouts, options);
                _entries[key] = entry = new DirectoryEntry(service, options);
            }

            entry.Users++;
            contradiction = FindContradiction(entry, options);
        }

        // Nothing is logged under the lock: a provider may ask for the status of a service, or wait for who does.
        if (contradiction is not null)
        {
            Log.Contradiction(_logger, serviceName, contradiction);
        }

        return entry;
    }

    /// <summary>Ends what <see cref="Acquire"/> began.</summary>
    public void Release(DirectoryEntry entry)
    {
        lock (_gate)
        {
            entry.Users--;
            entry.AskedAt = _time.GetTimestamp();
        }
    }

    /// <summary>For a container that is not disposed asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        List<DirectoryEntry> entries;
        lock (_gate)
        {
            // The container knows the directory by two names and disposes it by both.
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            entries = [.. _entries.Values];
        }

        await _sweep.DisposeAsync().ConfigureAwait(false);
        await _listing.DisposeAsync().ConfigureAwait(false);
        foreach (var entry in entries)
        {
            await entry.Service.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static (string Service, string Layout, string Origin) KeyOf(string serviceName, IReadOnlyList<IServiceLayout> layouts)
        => (serviceName, string.Join(", ", layouts.Select(static l => l.Name)), PrefixOf(serviceName, layouts));

    private static string PrefixOf(string serviceName, IReadOnlyList<IServiceLayout> layouts)
        => string.Join(", ", layouts.Select(layout => layout.GetPrefix(serviceName)));

    private static void Check(string serviceName)
    {
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(problem, nameof(serviceName));
        }
    }

    private async IAsyncEnumerable<ServiceSnapshot> ReadAsync(string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var entry = Acquire(serviceName, null);
        try
        {
            await foreach (var snapshot in entry.Service.Feed.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return snapshot;
            }
        }
        finally
        {
            Release(entry);
        }
    }

    /// <summary>The service if it is watched. Static ones cost nothing and are always there.</summary>
    private IWatchedService? Find(string serviceName)
    {
        Check(serviceName);
        var options = _settings.Get(serviceName);
        if (options.Instances.Count > 0)
        {
            var entry = Acquire(serviceName, options);
            Release(entry);
            return entry.Service;
        }

        var layouts = _layouts.Parse(options.Layout);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(IServiceDirectory));
            if (!_entries.TryGetValue(KeyOf(serviceName, layouts), out var entry))
            {
                return null;
            }

            entry.AskedAt = _time.GetTimestamp();
            return entry.Service;
        }
    }

    private IWatchedService Watch(string serviceName, IReadOnlyList<IServiceLayout> layouts, EtcdDiscoveryOptions options)
    {
        var watchers = RecordPrecedence.Order(layouts)
            .Select(layout => new ServiceWatcher(serviceName, layout, options, _source, _lister, _time, _logger, _metrics?.Of(serviceName, _source.Cluster))).ToList();
        return watchers.Count == 1 ? watchers[0] : new CombinedService(serviceName, watchers, _time);
    }

    /// <summary>What the first user of an entry has set differently, if that was not said before.</summary>
    private static string? FindContradiction(DirectoryEntry entry, EtcdDiscoveryOptions options)
    {
        var setting = options.HoldDuration != entry.Options.HoldDuration ? nameof(options.HoldDuration)
            : options.RelistInterval != entry.Options.RelistInterval ? nameof(options.RelistInterval)
            : options.SnapshotDirectory != entry.Options.SnapshotDirectory ? nameof(options.SnapshotDirectory)
            : null;
        if (setting is null || entry.IsContradicted)
        {
            return null;
        }

        entry.IsContradicted = true;
        return setting;
    }

    /// <summary>Ends watches that nobody needs: a name from a URL or a typo on a status page must not be watched for ever.</summary>
    private void EndIdle()
    {
        _listing.EndIdle(IdleTime);
        List<string> ended = [];
        lock (_gate)
        {
            foreach (var (key, entry) in _entries.ToList())
            {
                if (entry.Service is { Feed.Current.Count: > 0, Status.IsConnected: false })
                {
                    // What is known of it could not be had again before etcd is back.
                    entry.AskedAt = _time.GetTimestamp();
                }
                else if (entry.Users == 0 && !_disposed && _time.GetElapsedTime(entry.AskedAt) >= IdleTime)
                {
                    _entries.Remove(key);
                    _ = entry.Service.DisposeAsync().AsTask();
                    ended.Add(key.Service);
                }
            }
        }

        foreach (var service in ended)
        {
            Log.Idle(_logger, service, IdleTime);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2151, LogLevel.Warning, "Two clients of service '{Service}' set {Setting} differently. The service is watched once for all "
            + "of its clients, so what the first one has counts: set it in Etcd:Discovery:Services:{Service}.")]
        public static partial void Contradiction(ILogger logger, string service, string setting);

        [LoggerMessage(2152, LogLevel.Debug, "Service '{Service}' is no longer watched: nobody asked for it for {IdleTime}.")]
        public static partial void Idle(ILogger logger, string service, TimeSpan idleTime);
    }
}
