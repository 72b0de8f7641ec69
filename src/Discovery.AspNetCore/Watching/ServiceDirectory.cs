using System.Collections.Concurrent;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Watching;

/// <summary>All watched services of the process.</summary>
internal sealed class ServiceDirectory : IServiceDirectory, IAsyncDisposable
{
    private readonly ConcurrentDictionary<(string Service, string Layout), Lazy<ServiceWatcher>> _watchers = new();
    private readonly IServiceSource _source;
    private readonly IOptionsMonitor<EtcdDiscoveryOptions> _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ServiceWatcher> _logger;
    private readonly ServiceLister _lister;
    private volatile bool _disposed;

    public ServiceDirectory(
        IServiceSource source, IOptionsMonitor<EtcdDiscoveryOptions> options, TimeProvider time, ILogger<ServiceWatcher> logger)
    {
        _source = source;
        _options = options;
        _time = time;
        _logger = logger;
        _lister = new ServiceLister(source, time);
    }

    public IReadOnlyCollection<ServiceStatus> Services
        => [.. _watchers.Values.Select(static w => w.Value.Status).OrderBy(static s => s.Prefix, StringComparer.Ordinal)];

    public ServiceSnapshot? GetSnapshot(string serviceName) => GetWatcher(serviceName).Feed.Current;

    public ServiceStatus GetStatus(string serviceName) => GetWatcher(serviceName).Status;

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => GetWatcher(serviceName).WaitForReadyAsync(cancellationToken);

    public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default)
        => GetWatcher(serviceName).Feed.ReadAllAsync(cancellationToken);

    /// <summary>The watcher of a service in the layout of these options. The first caller's other settings apply to the watcher.</summary>
    public ServiceWatcher GetWatcher(string serviceName, EtcdDiscoveryOptions? options = null)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(problem, nameof(serviceName));
        }

        options ??= _options.Get(serviceName);
        var layout = LayoutCatalog.Parse(options.Layout)[0];
        var watcher = _watchers.GetOrAdd(
            (serviceName, layout.Name),
            key => new Lazy<ServiceWatcher>(
                () => new ServiceWatcher(key.Service, layout, options, _source, _lister, _time, _logger))).Value;
        if (_disposed)
        {
            // Added while the others were being disposed, or after.
            _ = watcher.DisposeAsync().AsTask();
            throw new ObjectDisposedException(nameof(IServiceDirectory));
        }

        return watcher;
    }

    public async ValueTask DisposeAsync()
    {
        // The container knows the directory by two names and disposes it by both.
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (var watcher in _watchers.Values.Where(static w => w.IsValueCreated))
        {
            await watcher.Value.DisposeAsync();
        }

        _lister.Dispose();
    }
}
