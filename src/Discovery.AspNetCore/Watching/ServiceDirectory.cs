using System.Collections.Concurrent;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Watching;

/// <summary>All watched services of the process.</summary>
internal sealed class ServiceDirectory : IServiceDirectory, IAsyncDisposable
{
    /// <summary>By name, and by where the instances come from: a layout and its prefix, or the settings.</summary>
    private readonly ConcurrentDictionary<(string Service, string Layout, string Origin), Lazy<IWatchedService>> _services = new();
    private readonly IServiceSource _source;
    private readonly IOptionsMonitor<EtcdDiscoveryOptions> _options;
    private readonly LayoutCatalog _layouts;
    private readonly TimeProvider _time;
    private readonly ILogger<IServiceDirectory> _logger;
    private readonly ServiceLister _lister;
    private volatile bool _disposed;

    public ServiceDirectory(
        IServiceSource source,
        IOptionsMonitor<EtcdDiscoveryOptions> options,
        LayoutCatalog layouts,
        TimeProvider time,
        ILogger<IServiceDirectory> logger)
    {
        _source = source;
        _options = options;
        _layouts = layouts;
        _time = time;
        _logger = logger;
        _lister = new ServiceLister(source, time);
    }

    public IReadOnlyCollection<ServiceStatus> Services
        => [.. _services.Values.Select(static s => s.Value.Status).OrderBy(static s => s.Prefix, StringComparer.Ordinal)];

    public ServiceSnapshot? GetSnapshot(string serviceName) => Get(serviceName).Feed.Current;

    public ServiceStatus GetStatus(string serviceName) => Get(serviceName).Status;

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => Get(serviceName).WaitForReadyAsync(_options.Get(serviceName).ReadyTimeout, cancellationToken);

    public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default)
        => Get(serviceName).Feed.ReadAllAsync(cancellationToken);

    /// <summary>The service as these options have it. The first caller's other settings apply.</summary>
    /// <exception cref="ArgumentException">The name is no service name, or etcd is needed and <c>Etcd:Endpoints</c> is empty.</exception>
    public IWatchedService Get(string serviceName, EtcdDiscoveryOptions? options = null)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(problem, nameof(serviceName));
        }

        options ??= _options.Get(serviceName);
        var service = options.Instances.Count > 0 ? GetStatic(serviceName, options) : GetWatched(serviceName, options);
        if (_disposed)
        {
            // Added while the others were being disposed, or after.
            _ = service.DisposeAsync().AsTask();
            throw new ObjectDisposedException(nameof(IServiceDirectory));
        }

        return service;
    }

    public async ValueTask DisposeAsync()
    {
        // The container knows the directory by two names and disposes it by both.
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (var service in _services.Values.Where(static s => s.IsValueCreated))
        {
            await service.Value.DisposeAsync().ConfigureAwait(false);
        }

        _lister.Dispose();
    }

    private IWatchedService GetStatic(string serviceName, EtcdDiscoveryOptions options)
        => _services.GetOrAdd(
            (serviceName, "", string.Join(',', options.Instances)),
            key => new Lazy<IWatchedService>(() => new StaticService(key.Service, options.Instances, _time))).Value;

    private IWatchedService GetWatched(string serviceName, EtcdDiscoveryOptions options)
    {
        // Here rather than in the watcher's loop: without endpoints this throws, and the caller is to see it.
        _ = _source.Endpoints;
        var layout = _layouts.Parse(options.Layout)[0];
        return _services.GetOrAdd(
            (serviceName, layout.Name, layout.GetPrefix(serviceName)),
            key => new Lazy<IWatchedService>(
                () => new ServiceWatcher(key.Service, layout, options, _source, _lister, _time, _logger))).Value;
    }
}
