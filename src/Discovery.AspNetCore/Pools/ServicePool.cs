using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The instances of a service as one client calls them: their connections, their live state, and the balancer over them. Follows the
/// directory's snapshots. Singleton per client name, so that the factory may rotate its handlers without closing anything.
/// </summary>
internal sealed partial class ServicePool : IDisposable
{
    /// <summary>How many refused addresses are logged; a prefix full of them must not flood the log.</summary>
    private const int MaxLoggedRefusals = 100;

    private readonly IWatchedService _service;
    private volatile IBalancingPolicy _policy;
    private readonly InstanceContext _context;
    private readonly TransportFactory _transports;
    private readonly AddressFilter _filter;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly ITimer _rebuildTimer;
    private readonly Dictionary<string, InstanceState> _instances = new(StringComparer.Ordinal);
    private readonly RetiredInstances _retired;
    private readonly HashSet<string> _loggedRefusals = new(StringComparer.Ordinal);

    private volatile PoolSnapshot? _current;
    private int _refused;
    private int _rebuildPending;
    private bool _disposed;

    public ServicePool(
        string serviceName,
        EtcdDiscoveryOptions options,
        IWatchedService service,
        IBalancingPolicy policy,
        AddressFilter filter,
        TransportFactory transports,
        TimeProvider time,
        ILogger logger)
    {
        ServiceName = serviceName;
        Options = options;
        _service = service;
        _policy = policy;
        _filter = filter;
        _transports = transports;
        Time = time;
        Failures = new RecentFailures(time);
        Retries = RetryBudget.Of(options);
        _logger = logger;
        _context = new InstanceContext(time, options, logger) { Changed = RequestRebuild };
        _retired = new RetiredInstances(time, logger);
        _rebuildTimer = time.CreateTimer(static p => ((ServicePool)p!).TryRebuild(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _service.Feed.Published += OnPublished;
        if (_service.Feed.Current is not null)
        {
            TryRebuild();
        }
    }

    public string ServiceName { get; }

    public EtcdDiscoveryOptions Options { get; }

    public TimeProvider Time { get; }

    /// <summary>What a retry by a gRPC client goes by.</summary>
    public RecentFailures Failures { get; }

    /// <summary>The limit of further attempts; null if there is none.</summary>
    public RetryBudget? Retries { get; }

    public FirstInstance FirstInstance { get; } = new();

    /// <summary>How many records of the service are no instances.</summary>
    public int SkippedRecords => _service.Status.SkippedRecords;

    /// <summary>What calls go by now, or null before the first snapshot.</summary>
    public PoolSnapshot? Current => _current;

    /// <summary>Waits for the first instance, at most for this client's own <see cref="EtcdDiscoveryOptions.ReadyTimeout"/>.</summary>
    /// <exception cref="ServiceDiscoveryException">The service could not be listed in time.</exception>
    public async ValueTask WaitForInstanceAsync(CancellationToken cancellationToken)
    {
        RebuildIfListed();
        var startedAt = Time.GetTimestamp();
        if (_current is null && (FirstInstance.IsAwaited || _service.HasOwnLimit))
        {
            await WaitForListAsync(cancellationToken).ConfigureAwait(false);
        }

        if (FirstInstance.IsAwaited)
        {
            var left = Options.ReadyTimeout - Time.GetElapsedTime(startedAt);
            await FirstInstance.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, Time, cancellationToken).ConfigureAwait(false);
        }

        if (_current is null)
        {
            throw FirstInstance.Failure as Exception ?? new ObjectDisposedException(nameof(ServicePool));
        }
    }

    /// <summary>Takes over what of changed options may change while the application runs.</summary>
    public void Apply(EtcdDiscoveryOptions changed, IBalancingPolicy policy)
    {
        Options.Adopt(changed);
        _policy = policy;
        RequestRebuild();
    }

    public void Dispose()
    {
        _service.Feed.Published -= OnPublished;
        FirstInstance.Close();
        lock (_gate)
        {
            _disposed = true;
            _rebuildTimer.Dispose();
            _retired.Dispose();
            foreach (var instance in _instances.Values)
            {
                instance.Transport?.Dispose();
            }

            _instances.Clear();
        }
    }

    /// <summary>The snapshot may be there, and the pool's own turn with it a moment away, or it failed, and says so again.</summary>
    private void RebuildIfListed()
    {
        if (_current is null && _service.Feed.Current is not null)
        {
            Rebuild();
        }
    }

    private async ValueTask WaitForListAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _service.WaitForReadyAsync(Options.ReadyTimeout, cancellationToken).ConfigureAwait(false);
            RebuildIfListed();
        }
        catch (ServiceDiscoveryException e)
        {
            FirstInstance.GiveUp(e);
            throw;
        }
    }

    private void OnPublished(ServiceSnapshot snapshot) => RequestRebuild();

    /// <summary>
    /// Has the snapshot built anew on another thread: a failing call whose instance was ejected must not pay for it, nor must the directory.
    /// While one request waits others join it, so a burst of changes costs few rebuilds.
    /// </summary>
    private void RequestRebuild()
    {
        if (Interlocked.Exchange(ref _rebuildPending, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static pool => pool.RebuildAsRequested(), this, preferLocal: false);
        }
    }

    private void RebuildAsRequested()
    {
        // Who waited for the first snapshot may have been quicker; another balancer would begin its rounds anew.
        if (Volatile.Read(ref _rebuildPending) != 0)
        {
            TryRebuild();
        }
    }

    private void TryRebuild()
    {
        try
        {
            Rebuild();
        }
        catch (Exception e)
        {
            // The application's own policy or transport settings failed. Calls go by the state before; without one, they get the error.
            Log.RebuildFailed(_logger, ServiceName, e);
        }
    }

    private void Rebuild()
    {
        lock (_gate)
        {
            // A full fence: a snapshot published from here on asks again, and one published before is seen below.
            Interlocked.Exchange(ref _rebuildPending, 0);
            if (_disposed || _service.Feed.Current is not { } snapshot)
            {
                return;
            }

            if (snapshot != _current?.Snapshot)
            {
                Follow(snapshot);
            }

            var (callable, retryIn) = LeaveOutUnreachable(snapshot);
            var http = Build(callable, Uri.UriSchemeHttp);
            var https = callable.TrueForAll(static e => e.Record.Scheme is null) ? http : Build(callable, Uri.UriSchemeHttps);
            var isChanged = snapshot != _current?.Snapshot;
            _current = new PoolSnapshot(snapshot, callable, _refused, http, https);
            _transports.HasOneInstance = callable.Count == 1;
            if (isChanged)
            {
                FirstInstance.OnChanged(snapshot.Count > 0);
            }

            var next = Sooner(Sooner(http?.RebuildAfter, https?.RebuildAfter), retryIn);
            _rebuildTimer.Change(next ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    private static TimeSpan? Sooner(TimeSpan? one, TimeSpan? other) => one is null || other < one ? other : one;

    /// <summary>
    /// An instance that is held though etcd has it no longer is left out while it is ejected, even where the balancer would spare it:
    /// nothing says that it is still there. It gets another chance after each ejection.
    /// </summary>
    private (List<InstanceState> Callable, TimeSpan? RetryIn) LeaveOutUnreachable(ServiceSnapshot snapshot)
    {
        if (snapshot.Held.IsEmpty)
        {
            return ([.. _instances.Values], null);
        }

        var now = _context.ReadClock();
        var callable = new List<InstanceState>(_instances.Count);
        TimeSpan? retryIn = null;
        foreach (var (address, instance) in _instances)
        {
            if (snapshot.Held.ContainsKey(address) && instance.Health.WantsEjection(now))
            {
                retryIn = Sooner(retryIn, _context.ToTime(instance.Health.EjectedUntil - now + 1));
            }
            else
            {
                callable.Add(instance);
            }
        }

        return (callable, retryIn);
    }

    private Balancer? Build(List<InstanceState> callable, string scheme)
    {
        List<InstanceState> fitting = [.. callable.Where(e => e.Record.Supports(scheme))];
        return fitting.Count == 0 ? null : BalancerBuilder.Build(fitting, _context, _policy);
    }

    private void Follow(ServiceSnapshot snapshot)
    {
        foreach (var (address, instance) in _instances)
        {
            if (snapshot.Find(address) is not { } record || IsAnotherProcess(instance.Record, record))
            {
                _instances.Remove(address);
                _retired.Add(instance);
            }
        }

        _refused = 0;
        foreach (var (address, record) in snapshot.ByAddress)
        {
            if (_instances.TryGetValue(address, out var known))
            {
                known.Update(record);
            }
            else if (_filter.Allows(record))
            {
                _instances[address] = new InstanceState(record, _context, isJoining: _current is not null)
                {
                    Transport = _transports.Create(record),
                };
            }
            else
            {
                _refused++;
                if (_loggedRefusals.Count < MaxLoggedRefusals && _loggedRefusals.Add(address))
                {
                    Log.Refused(_logger, record.Key, address);
                }
            }
        }
    }

    /// <summary>
    /// Live state belongs to the process behind an address: one that was restarted at the same address is not slow or failing because
    /// its predecessor was.
    /// </summary>
    private static bool IsAnotherProcess(ServiceInstance before, ServiceInstance after)
        => before.InstanceId is not null && after.InstanceId is not null && before.InstanceId != after.InstanceId;

    private static partial class Log
    {
        [LoggerMessage(2301, LogLevel.Warning, "The record {Key} leads to {Address}, which may not be dialled (Etcd:Discovery:AllowedNetworks, "
            + "AllowedPorts, AllowLoopback); it is not called.")]
        public static partial void Refused(ILogger logger, string key, string address);

        [LoggerMessage(2302, LogLevel.Error, "The instances of service '{Service}' could not be made ready; calls go by those of before.")]
        public static partial void RebuildFailed(ILogger logger, string service, Exception exception);
    }
}
