using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Layouts;
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

    /// <summary>Ten times a second is soon enough for a change, and seldom enough for a service of thousands.</summary>
    private static readonly TimeSpan MinRebuildInterval = TimeSpan.FromMilliseconds(100);

    private readonly IWatchedService _service;
    private volatile IBalancingPolicy _policy;
    private readonly InstanceContext _context;
    private readonly TransportFactory _transports;
    private readonly AddressFilter _filter;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly ITimer _rebuildTimer;
    private readonly TimeProvider _debounceClock;
    private readonly ITimer _debounceTimer;
    private readonly Dictionary<string, InstanceState> _instances = new(StringComparer.Ordinal);
    private readonly RetiredInstances _retired;
    private readonly HashSet<string> _loggedRefusals = new(StringComparer.Ordinal);

    private volatile PoolSnapshot? _current;
    private int _refused;
    private int _generation;
    private bool _isFilterChanged;
    private int _rebuildPending;
    private long _rebuiltAt;
    private bool _disposed;

    public ServicePool(
        string serviceName,
        EtcdDiscoveryOptions options,
        IWatchedService service,
        IBalancingPolicy policy,
        AddressFilter filter,
        TransportFactory transports,
        TimeProvider time,
        ILogger logger,
        TimeProvider? debounceClock = null)
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
        _context = new InstanceContext(time, options, logger) { Changed = OnInstanceChanged };
        _retired = new RetiredInstances(time, logger);
        _rebuildTimer = time.CreateTimer(static p => ((ServicePool)p!).TryRebuild(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        // What it spares is real time, whatever clock the application goes by.
        _debounceClock = debounceClock ?? TimeProvider.System;
        _debounceTimer = _debounceClock.CreateTimer(
            static p => ((ServicePool)p!).RebuildAsRequested(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _rebuiltAt = _debounceClock.GetTimestamp() - _debounceClock.TimestampFrequency;
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
    public RetryBudget? Retries { get; private set; }

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
        if (Options.RetryBudgetPercent != changed.RetryBudgetPercent)
        {
            Retries = RetryBudget.Of(changed);
        }

        lock (_gate)
        {
            _filter.Apply(changed);
            _isFilterChanged = true;
            Options.Adopt(changed);
            _policy = policy;
        }

        RequestRebuild(isUrgent: true);
    }

    public void Dispose()
    {
        _service.Feed.Published -= OnPublished;
        FirstInstance.Close();
        lock (_gate)
        {
            _disposed = true;
            _rebuildTimer.Dispose();
            _debounceTimer.Dispose();
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

    private void OnPublished(ServiceSnapshot snapshot) => RequestRebuild(isUrgent: false);

    private void OnInstanceChanged(bool isUrgent) => RequestRebuild(isUrgent);

    /// <summary>
    /// Has the snapshot built anew on another thread: a failing call whose instance was ejected must not pay for it, nor must the directory.
    /// The first change counts at once; after that others are collected, so that however stormy the cluster, little is built.
    /// </summary>
    private void RequestRebuild(bool isUrgent)
    {
        var isFirst = Interlocked.Exchange(ref _rebuildPending, 1) == 0;
        var wait = MinRebuildInterval - _debounceClock.GetElapsedTime(Volatile.Read(ref _rebuiltAt));
        if (isUrgent || (isFirst && wait <= TimeSpan.Zero))
        {
            ThreadPool.UnsafeQueueUserWorkItem(static pool => pool.RebuildAsRequested(), this, preferLocal: false);
        }
        else if (isFirst)
        {
            _debounceTimer.Change(wait, Timeout.InfiniteTimeSpan);
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

            if (snapshot != _current?.Snapshot || _isFilterChanged)
            {
                _isFilterChanged = false;
                Follow(snapshot);
            }

            var callable = LeaveOutUnreachable(snapshot);
            _context.Instances = callable;
            var isChanged = snapshot != _current?.Snapshot;
            _current = new PoolSnapshot(snapshot, callable, _refused, new BalancerSet(callable, Options, Build, _current?.Balancers));
            Volatile.Write(ref _rebuiltAt, _debounceClock.GetTimestamp());
            _transports.HasOneInstance = callable.Count == 1;
            if (isChanged)
            {
                FirstInstance.OnChanged(snapshot.Count > 0);
            }

            var next = HealthFilter.NextChange(_instances.Values, _context, _context.ReadClock());
            _rebuildTimer.Change(next ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Builds a balancer that the first call of its kind asks for, between two rebuilds.</summary>
    private Balancer Build(IReadOnlyList<InstanceState> instances)
    {
        lock (_gate)
        {
            return BalancerBuilder.Build(instances, _context, _policy);
        }
    }

    /// <summary>
    /// An instance that is held though etcd has it no longer is left out while it is ejected, even where the balancer would spare it:
    /// nothing says that it is still there. It gets another chance after each ejection, but none once somebody else answered at its address.
    /// </summary>
    private List<InstanceState> LeaveOutUnreachable(ServiceSnapshot snapshot)
    {
        if (snapshot.Held.IsEmpty)
        {
            return [.. _instances.Values];
        }

        var now = _context.ReadClock();
        var callable = new List<InstanceState>(_instances.Count);
        List<InstanceState> leftOut = [];
        foreach (var instance in _instances.Values)
        {
            if (instance.IsHeld && instance.Health.WantsEjection(now))
            {
                leftOut.Add(instance);
            }
            else if (!instance.IsGivenUp)
            {
                callable.Add(instance);
            }
        }

        _context.Ejections.Report(leftOut, [], "", _context);
        return callable;
    }

    private void Follow(ServiceSnapshot snapshot)
    {
        _refused = 0;
        _generation++;
        foreach (var (address, record) in snapshot.Present)
        {
            Follow(address, record, isHeld: false);
        }

        foreach (var (address, record) in snapshot.Held)
        {
            Follow(address, record, isHeld: true);
        }

        // Cheaper than to look each of them up in the snapshot.
        foreach (var (address, instance) in _instances)
        {
            if (instance.Generation != _generation)
            {
                _instances.Remove(address);
                _retired.Add(instance);
            }
        }
    }

    private void Follow(string address, ServiceInstance record, bool isHeld)
    {
        if (_instances.TryGetValue(address, out var known)
            && _filter.Allows(record)
            && (ReferenceEquals(known.Record, record) || !IsAnotherProcess(known.Record, record)))
        {
            if (!ReferenceEquals(known.Record, record))
            {
                known.Update(record);
            }

            known.IsHeld = isHeld;
            known.Generation = _generation;
            return;
        }

        if (known is not null)
        {
            _instances.Remove(address);
            _retired.Add(known);
        }

        if (_filter.Allows(record))
        {
            _instances[address] = new InstanceState(record, _context, isJoining: _current is not null)
            {
                Transport = _transports.Create(record),
                Generation = _generation,
                IsHeld = isHeld,
            };
        }
        else
        {
            Refuse(address, record);
        }
    }

    private void Refuse(string address, ServiceInstance record)
    {
        _refused++;
        if (_loggedRefusals.Count < MaxLoggedRefusals && _loggedRefusals.Add(address))
        {
            // Anybody may have written the key.
            Log.Refused(_logger, ForeignText.Show(record.Key), ForeignText.Show(address));
            if (_loggedRefusals.Count == MaxLoggedRefusals)
            {
                Log.MoreRefused(_logger, MaxLoggedRefusals, ServiceName);
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

        [LoggerMessage(2303, LogLevel.Warning, "{Count} addresses of service '{Service}' that may not be dialled were logged; others are left out.")]
        public static partial void MoreRefused(ILogger logger, int count, string service);

        [LoggerMessage(2302, LogLevel.Error, "The instances of service '{Service}' could not be made ready; calls go by those of before.")]
        public static partial void RebuildFailed(ILogger logger, string service, Exception exception);
    }
}
