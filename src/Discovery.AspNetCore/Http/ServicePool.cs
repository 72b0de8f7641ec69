using System.Collections.Frozen;
using Discovery.AspNetCore.Directory;
using Discovery.AspNetCore.LoadBalancing;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Http;

/// <summary>
/// The endpoints of a service as one client calls them: their connections, their live state, and the balancer over them. Follows the
/// directory's snapshots. Singleton per client name, so that the factory may rotate its handlers without closing anything.
/// </summary>
internal sealed partial class ServicePool : IDisposable
{
    /// <summary>A call may have picked an endpoint just before it was retired; its connections stay open for at least this long.</summary>
    private static readonly TimeSpan RetirePause = TimeSpan.FromSeconds(2);

    private readonly ServiceWatcher _watcher;
    private readonly ILoadBalancingPolicy _policy;
    private readonly BalancingContext _context;
    private readonly EndpointTransports _transports;
    private readonly AddressFilter _filter;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly ITimer _rebuildTimer;
    private readonly ITimer _retireTimer;
    private readonly Dictionary<string, ServiceEndpoint> _endpoints = new(StringComparer.Ordinal);
    private readonly List<ServiceEndpoint> _retired = [];
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal);

    private volatile PoolState? _state;
    private int _rebuildPending;
    private bool _disposed;

    public ServicePool(
        string serviceName,
        EtcdDiscoveryOptions options,
        ServiceWatcher watcher,
        ILoadBalancingPolicy policy,
        IReadOnlyList<Action<SocketsHttpHandler>> configure,
        TimeProvider time,
        ILogger<ServicePool> logger)
    {
        ServiceName = serviceName;
        Options = options;
        _watcher = watcher;
        _policy = policy;
        _filter = new AddressFilter(options);
        _transports = new EndpointTransports(options, _filter, configure);
        _time = time;
        _logger = logger;
        _context = new BalancingContext(time, options, logger) { Changed = RequestRebuild };
        _rebuildTimer = time.CreateTimer(static p => ((ServicePool)p!).Rebuild(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _retireTimer = time.CreateTimer(static p => ((ServicePool)p!).CloseRetired(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _watcher.Published += OnPublished;
        if (_watcher.Current is not null)
        {
            Rebuild();
        }
    }

    public string ServiceName { get; }

    public EtcdDiscoveryOptions Options { get; }

    /// <summary>What calls go by now, or null before the first snapshot.</summary>
    public PoolState? State => _state;

    /// <summary>Waits for the first snapshot.</summary>
    /// <exception cref="ServiceDiscoveryException">There was none in time.</exception>
    public async ValueTask<PoolState> WaitForReadyAsync(CancellationToken cancellationToken)
    {
        await _watcher.WaitForReadyAsync(cancellationToken);
        if (_state is null)
        {
            // The snapshot is there, and the pool's own turn with it may be a moment away.
            Rebuild();
        }

        return _state ?? throw new ObjectDisposedException(nameof(ServicePool));
    }

    public void Dispose()
    {
        _watcher.Published -= OnPublished;
        lock (_gate)
        {
            _disposed = true;
            _rebuildTimer.Dispose();
            _retireTimer.Dispose();
            foreach (var endpoint in _endpoints.Values.Concat(_retired))
            {
                endpoint.Transport?.Dispose();
            }

            _endpoints.Clear();
            _retired.Clear();
        }
    }

    private void OnPublished(ServiceSnapshot snapshot) => Rebuild();

    /// <summary>An endpoint was ejected by a failing call: its caller must not pay for the rebuild, and many may report at once.</summary>
    private void RequestRebuild()
    {
        if (Interlocked.Exchange(ref _rebuildPending, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static pool => pool.Rebuild(), this, preferLocal: false);
        }
    }

    private void Rebuild()
    {
        lock (_gate)
        {
            Volatile.Write(ref _rebuildPending, 0);
            if (_disposed || _watcher.Current is not { } snapshot)
            {
                return;
            }

            if (snapshot != _state?.Snapshot)
            {
                Follow(snapshot);
            }

            List<ServiceEndpoint> callable = [.. _endpoints.Values.Where(e => !IsLostForGood(e, snapshot))];
            var http = Build(callable, Uri.UriSchemeHttp);
            var https = Build(callable, Uri.UriSchemeHttps);
            _state = new PoolState(
                snapshot, callable.ToFrozenDictionary(static e => e.Instance.Address, StringComparer.Ordinal), http, https);
            var next = http?.RebuildAfter is { } one && (https?.RebuildAfter is not { } other || one < other) ? one : https?.RebuildAfter;
            _rebuildTimer.Change(next ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>An instance that is held though etcd has it no longer is called only as long as it can be connected to.</summary>
    private static bool IsLostForGood(ServiceEndpoint endpoint, ServiceSnapshot snapshot)
        => endpoint.IsEjected && snapshot.Held.Contains(endpoint.Instance.Address);

    private Balancer? Build(List<ServiceEndpoint> callable, string scheme)
    {
        List<ServiceEndpoint> fitting = [.. callable.Where(e => e.Instance.Scheme is null || e.Instance.Scheme == scheme)];
        return fitting.Count == 0 ? null : BalancerBuilder.Build(fitting, _context, _policy);
    }

    private void Follow(ServiceSnapshot snapshot)
    {
        foreach (var (address, endpoint) in _endpoints)
        {
            if (snapshot.Find(address) is not { } instance || IsAnotherProcess(endpoint.Instance, instance))
            {
                _endpoints.Remove(address);
                Retire(endpoint);
            }
        }

        foreach (var instance in snapshot.Instances)
        {
            if (_endpoints.TryGetValue(instance.Address, out var known))
            {
                known.Update(instance);
            }
            else if (_filter.Allows(instance))
            {
                _endpoints[instance.Address] = new ServiceEndpoint(instance, _context, isJoining: _state is not null)
                {
                    Transport = _transports.Create(instance),
                };
            }
            else if (_refused.Add(instance.Address))
            {
                Log.Refused(_logger, instance.Key, instance.Address);
            }
        }
    }

    /// <summary>
    /// Live state belongs to the process behind an address: one that was restarted at the same address is not slow or failing because
    /// its predecessor was.
    /// </summary>
    private static bool IsAnotherProcess(ServiceInstance before, ServiceInstance after)
        => before.InstanceId is not null && after.InstanceId is not null && before.InstanceId != after.InstanceId;

    private void Retire(ServiceEndpoint endpoint)
    {
        _retired.Add(endpoint);
        _retireTimer.Change(RetirePause, RetirePause);
    }

    /// <summary>Closes the connections of endpoints that left, once their last call has ended.</summary>
    private void CloseRetired()
    {
        lock (_gate)
        {
            _retired.RemoveAll(static endpoint =>
            {
                if (endpoint.InFlight > 0)
                {
                    return false;
                }

                endpoint.Transport?.Dispose();
                return true;
            });
            if (_retired.Count == 0 && !_disposed)
            {
                _retireTimer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The record {Key} leads to {Address}, which may not be dialled (Etcd:Discovery:AllowedNetworks, "
            + "AllowedPorts); it is not called.")]
        public static partial void Refused(ILogger logger, string key, string address);
    }
}
