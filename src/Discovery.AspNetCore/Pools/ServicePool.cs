using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The instances of a service as one client calls them: their connections, their live state, and the balancer over them. Follows the
/// directory's snapshots. Singleton per client name, so that the factory may rotate its handlers without closing anything.
/// </summary>
internal sealed partial class ServicePool : IDisposable
{
    private const long Never = long.MinValue;

    /// <summary>After how long it is said again that calls have nowhere to go.</summary>
    private static readonly TimeSpan NoInstanceInterval = TimeSpan.FromMinutes(10);

    private readonly IWatchedService _service;
    private volatile IBalancingPolicy _policy;
    private readonly InstanceContext _context;
    private readonly Lock _gate = new();
    private readonly ITimer _rebuildTimer;
    private readonly RebuildSchedule _schedule;
    private readonly PoolInstances _instances;
    private readonly PendingChanges _pending;
    private readonly BalancerUpdates _balancers;
    private readonly RetiredInstances _retired;

    private volatile PoolSnapshot? _current;
    private long _notPicked;
    private int _waiting;
    private long _noInstanceSaidAt = Never;
    private volatile bool _isDetached;

    public ServicePool(
        string serviceName,
        EtcdDiscoveryOptions options,
        IWatchedService service,
        IBalancingPolicy policy,
        AddressFilter filter,
        TransportFactory transports,
        TimeProvider time,
        ILogger logger,
        TimeProvider? debounceClock = null,
        ServiceMetrics? metrics = null)
    {
        ServiceName = serviceName;
        Options = options;
        _service = service;
        _policy = policy;
        Time = time;
        FirstInstance = new FirstInstance(time);
        Failures = new RecentFailures(time);
        Retries = RetryBudget.Of(options);
        Logger = logger;
        _context = new InstanceContext(time, options, logger) { Changed = OnChanged, Metrics = metrics };
        _retired = new RetiredInstances(time, logger);
        _instances = new PoolInstances(this, _context, filter, transports, _retired, logger);
        _pending = new PendingChanges(service.Feed);
        _balancers = new BalancerUpdates(_context);
        _rebuildTimer = Detached.CreateTimer(time, TryRebuild);
        _schedule = new RebuildSchedule(TryRebuild, debounceClock ?? TimeProvider.System);
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

    public FirstInstance FirstInstance { get; }

    public ILogger Logger { get; }

    /// <summary>Makes what takes the place of this pool once it is forgotten; null if it never is.</summary>
    public Func<ServicePool>? Successor { get; init; }

    /// <summary>Whether it follows its service no longer.</summary>
    public bool IsDetached => _isDetached;

    /// <summary>Whether calls are under way, those that wait for an instance among them.</summary>
    public bool IsBusy
    {
        get
        {
            if (Volatile.Read(ref _waiting) > 0 || _retired.Any)
            {
                return true;
            }

            lock (_gate)
            {
                return _instances.All.Any(static i => i.InFlight > 0);
            }
        }
    }

    /// <summary>Whether the service can be asked for anew; true where the application's own directory cannot say.</summary>
    public bool IsConnected
    {
        get
        {
            try
            {
                return _service.Status.IsConnected;
            }
            catch (Exception)
            {
                // Whoever asks is a timer.
                return true;
            }
        }
    }

    /// <summary>How many records of the service are no instances; 0 where the application's own directory cannot say.</summary>
    public int SkippedRecords
    {
        get
        {
            try
            {
                return _service.Status.SkippedRecords;
            }
            catch (Exception)
            {
                // Whoever asks explains why a call failed, and must not fail otherwise.
                return 0;
            }
        }
    }

    /// <summary>What is measured of the service; null if nothing is.</summary>
    public ServiceMetrics? Metrics => _context.Metrics;

    /// <summary>How the service stands with etcd.</summary>
    public ServiceStatus Status => _service.Status;

    /// <summary>The name of the policy in force.</summary>
    public string PolicyName => _policy.Name;

    /// <summary>What calls go by now, or null before the first snapshot.</summary>
    public PoolSnapshot? Current => _current;

    /// <summary>Waits for the first instance, at most for this client's own <see cref="EtcdDiscoveryOptions.ReadyTimeout"/>.</summary>
    /// <exception cref="ServiceDiscoveryException">The service could not be listed in time.</exception>
    /// <exception cref="ObjectDisposedException">It follows its service no longer, and did not know it.</exception>
    public async ValueTask WaitForInstanceAsync(CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            if (FirstInstance.TryBegin())
            {
                _ = WaitForAllAsync();
            }

            await WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>Waits for a further change where the service has had its first instance just now.</summary>
    /// <param name="current">What none of the instances of was of use.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Whether there is one.</returns>
    public async ValueTask<bool> WaitForOthersAsync(PoolSnapshot current, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            return await FirstInstance.WaitForOthersAsync(Options.ReadyTimeout / 5, () => !ReferenceEquals(_current, current), cancellationToken)
                .ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>How many calls there was no instance for.</summary>
    public long NotPicked => Interlocked.Read(ref _notPicked);

    /// <summary>There was no instance for a call.</summary>
    /// <param name="reason">Why, for the log; null where another says it, or the call itself asked for what there is not.</param>
    public void OnNotPicked(string? reason)
    {
        Interlocked.Increment(ref _notPicked);
        var saidAt = Interlocked.Read(ref _noInstanceSaidAt);
        if (reason is not null
            && (saidAt == Never || Time.GetElapsedTime(saidAt) >= NoInstanceInterval)
            && Interlocked.CompareExchange(ref _noInstanceSaidAt, Time.GetTimestamp(), saidAt) == saidAt)
        {
            Log.NowhereToGo(Logger, ServiceName, reason);
        }
    }

    /// <summary>What was counted, and how the instances stand.</summary>
    public PoolCounts Count(ServiceTags tags)
    {
        lock (_gate)
        {
            return _instances.Count(tags, Interlocked.Read(ref _notPicked));
        }
    }

    /// <summary>Takes over what of changed options may change while the application runs.</summary>
    public void Apply(EtcdDiscoveryOptions changed, IBalancingPolicy policy)
    {
        if ((Retries?.Percent ?? 0) != changed.RetryBudgetPercent)
        {
            Retries = RetryBudget.Of(changed);
        }

        lock (_gate)
        {
            _instances.ApplyFilter(changed);
            Options.Adopt(changed);
            _policy = policy;
            _pending.AddEverything();
        }

        _schedule.Request(isUrgent: true);
    }

    /// <summary>
    /// Follows the service no longer. Unlike <see cref="Dispose"/> it closes nothing: a call that got the pool a moment ago still gets through, and
    /// connections without calls close by themselves.
    /// </summary>
    public void Detach()
    {
        _service.Feed.Published -= OnPublished;
        lock (_gate)
        {
            _isDetached = true;
            _rebuildTimer.Dispose();
            _schedule.Dispose();
        }

        FirstInstance.Close();
    }

    public void Dispose()
    {
        Detach();
        lock (_gate)
        {
            _retired.Dispose();
            _instances.Clear();
        }
    }

    /// <summary>The snapshot may be there, and the pool's own turn with it a moment away, or it failed, and says so again.</summary>
    private void RebuildIfListed()
    {
        if (_current is null && _service.Feed.Current is not null)
        {
            lock (_gate)
            {
                // All that waited come at once, and one of them builds for all.
                if (_current is null)
                {
                    Rebuild();
                }
            }
        }
    }

    /// <summary>
    /// Waits along with the first call, and on when its own time has passed: else calls with less time than the wait takes would wait one after the
    /// other for ever, and none would be told what is missing.
    /// </summary>
    private async Task WaitForAllAsync()
        => await WaitAsync(CancellationToken.None).AsTask().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async ValueTask WaitAsync(CancellationToken cancellationToken)
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
            await FirstInstance.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
        }

        if (_current is null)
        {
            throw FirstInstance.Failure as Exception ?? new ObjectDisposedException(typeof(IServiceDirectory).FullName);
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

    private void OnPublished(ServiceSnapshot snapshot)
    {
        _pending.Add(snapshot);
        _schedule.Request(isUrgent: false);
    }

    private void OnChanged(InstanceState instance, bool isUrgent)
    {
        _pending.Add(instance);
        _schedule.Request(isUrgent);
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
            Log.RebuildFailed(Logger, ServiceName, e);
        }
    }

    private void Rebuild()
    {
        lock (_gate)
        {
            _schedule.OnBegun();
            if (_isDetached || _pending.Take(out var changes) is not { } snapshot)
            {
                return;
            }

            try
            {
                Rebuild(snapshot, changes);
            }
            catch
            {
                // Who keeps what is known of the last build may have missed something.
                _pending.AddEverything();
                throw;
            }
            finally
            {
                _schedule.OnEnded();
            }
        }
    }

    private void Rebuild(ServiceSnapshot snapshot, ChangesSince since)
    {
        var now = _context.ReadClock();
        var changes = _instances.Follow(snapshot, since, areJoining: _context.HasAnswers, now);
        var callable = _instances.Callable;
        _context.Instances = callable;
        var isChanged = snapshot != _current?.Snapshot;
        var isEvent = isChanged && _current is not null && snapshot.Reason == ServiceChangeReason.Watched;
        var balancers = _balancers.Next(callable, changes, _instances.Unsettled, Options, _policy, Build, _current?.Balancers, now);
        if (balancers.Count > 0 && _current is not { Balancers.Count: > 0 })
        {
            // Whatever keeps calls from these is something else.
            Interlocked.Exchange(ref _noInstanceSaidAt, Never);
        }

        _current = new PoolSnapshot(snapshot, callable, _instances.Refused, balancers);
        if (isEvent)
        {
            Metrics?.OnApplied(Time.GetUtcNow() - snapshot.PublishedAt);
        }

        if (isChanged)
        {
            // What the settings select may come later than the rest; whatever else keeps instances from being called is told at once.
            FirstInstance.OnChanged(snapshot.Count > 0 && (Options.Select.IsEmpty || _current.Balancers.Count > 0));
        }

        // Many ejections that end one soon after another count together.
        var next = HealthFilter.NextChange(_instances.Unsettled, _context, _context.ReadClock());
        _rebuildTimer.Change(next < RebuildSchedule.Interval ? RebuildSchedule.Interval : next ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Builds a balancer that the first call of its kind asks for, between two rebuilds.</summary>
    private Balancer Build(IReadOnlyList<InstanceState> instances)
    {
        lock (_gate)
        {
            return BalancerBuilder.Build(instances, _context, _policy);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2304, LogLevel.Warning, "Calls of service '{Service}' have nowhere to go. {Reason} That is not said again for ten minutes.")]
        public static partial void NowhereToGo(ILogger logger, string service, string reason);

        [LoggerMessage(2302, LogLevel.Error, "The instances of service '{Service}' could not be made ready; calls go by those of before.")]
        public static partial void RebuildFailed(ILogger logger, string service, Exception exception);
    }
}
