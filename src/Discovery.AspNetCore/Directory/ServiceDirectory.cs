using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Directory;

/// <summary>All watched services of the process.</summary>
internal sealed class ServiceDirectory : IServiceDirectory, IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<ServiceWatcher>> _watchers = new(StringComparer.Ordinal);
    private readonly Func<string, Lazy<ServiceWatcher>> _create;
    private readonly ServiceLister _lister;
    private volatile bool _disposed;

    public ServiceDirectory(
        EtcdClient client, IOptionsMonitor<EtcdDiscoveryOptions> options, TimeProvider time, ILogger<ServiceWatcher> logger)
    {
        _lister = new ServiceLister(client, time);
        _create = name => new Lazy<ServiceWatcher>(() =>
        {
            var serviceOptions = options.Get(name);
            return new ServiceWatcher(name, ServiceLayouts.Parse(serviceOptions.Layout)[0], serviceOptions, client, _lister, time, logger);
        });
    }

    public IReadOnlyCollection<ServiceStatus> Services
        => [.. _watchers.OrderBy(static w => w.Key, StringComparer.Ordinal).Where(static w => w.Value.IsValueCreated).Select(static w => w.Value.Value.Status)];

    public ServiceSnapshot? GetSnapshot(string serviceName) => GetWatcher(serviceName).Current;

    public ServiceStatus GetStatus(string serviceName) => GetWatcher(serviceName).Status;

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => GetWatcher(serviceName).WaitForReadyAsync(cancellationToken);

    public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
        string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var watcher = GetWatcher(serviceName);
        ServiceSnapshot? last = null;
        while (true)
        {
            var changed = watcher.Changed;
            var current = watcher.Current;
            if (current is not null && current != last)
            {
                last = current;
                yield return current;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    public ServiceWatcher GetWatcher(string serviceName)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (ServiceNames.GetProblem(serviceName) is { } problem)
        {
            throw new ArgumentException(problem, nameof(serviceName));
        }

        return _watchers.GetOrAdd(serviceName, _create).Value;
    }

    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        foreach (var watcher in _watchers.Values)
        {
            await watcher.Value.DisposeAsync();
        }

        _lister.Dispose();
    }
}
