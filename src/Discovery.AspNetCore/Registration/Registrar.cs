using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Keeps this application's records in etcd: puts them under one lease, follows changes of settings, weight and health, and deletes them
/// when the application withdraws or stops. The desired state is recorded first and reconciled then, one change at a time, so a caller
/// that gives up waiting loses nothing, and nothing that waits for etcd delays the stop.
/// </summary>
internal sealed class Registrar : IAsyncDisposable
{
    private readonly EtcdLeaseKeeper _keeper;
    private readonly RegistrationOverrides _overrides;
    private readonly RegistrationReport _report;
    private readonly Deregistration _deregistration;
    private readonly OwnRegistrations _all;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _disposing = new();
    private readonly TaskCompletionSource<EtcdException> _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile DesiredRegistration _desired;
    private volatile IReadOnlyDictionary<string, RegistrationRecord> _written = new Dictionary<string, RegistrationRecord>();
    private volatile bool _stopped;
    private volatile bool _hadLease;
    private bool _isToLeave;
    private volatile int _changes;

    // Under the gate: keys that stand only until those that replace them do, and whether a task waits for that.
    private Dictionary<string, RegistrationRecord> _replaced = [];
    private bool _isReplacing;

    public Registrar(
        EtcdClient client,
        DesiredRegistration desired,
        LayoutCatalog layouts,
        string instanceId,
        RegistrationOverrides overrides,
        TimeProvider time,
        ILogger logger,
        OwnRegistrations all,
        string? cluster = null,
        Action<TimeSpan>? onRegisteredAgain = null)
    {
        Layouts = layouts;
        _desired = desired;
        InstanceId = instanceId;
        Cluster = cluster;
        _overrides = overrides;
        (_all, _logger) = (all, logger);
        _keeper = client.KeepLease(desired.Options.TimeToLive);
        _deregistration = new Deregistration(_keeper, instanceId, cluster, () => Options, time, logger);
        _report = new RegistrationReport(
            time, logger, () => client.GetEndpointStatus().Where(static e => e.ServesCalls).Select(static e => e.Endpoint), onRegisteredAgain,
            key => _all.IsHeld(key, this));
        _keeper.KeyConflict += OnConflict;
        _keeper.StatusChanged += OnLease;
        all.Add(this);
    }

    /// <summary>The name of the cluster; null for the default one.</summary>
    public string? Cluster { get; }

    public LayoutCatalog Layouts { get; }

    public string InstanceId { get; }

    /// <summary>Whether there is anything to advertise.</summary>
    public bool HasEndpoints => _desired.Endpoints.Count > 0;

    /// <summary>The settings as they are in force.</summary>
    public EtcdRegistrationOptions Options => _desired.Options;

    /// <summary>The last failure since all was well, or what needs an operator's attention, or <see langword="null"/>.</summary>
    public string? LastError => _keeper.Status.LastError?.Message ?? _desired.Problem?.Message ?? _report.Problem;

    /// <summary>Completes when etcd refuses what no waiting changes: a person has to.</summary>
    public Task<EtcdException> Refused => _refused.Task;

    public ServiceRegistrationStatus Status
    {
        get
        {
            var lease = _keeper.Status;
            var state =
                _stopped ? ServiceRegistrationState.Stopped
                : _stopping.IsCancellationRequested ? ServiceRegistrationState.Draining
                : !_desired.Options.Enabled ? ServiceRegistrationState.Disabled
                : _overrides.IsWithdrawn ? ServiceRegistrationState.Withdrawn
                : _desired.Problem is { } problem ? problem.State
                : _overrides.IsUnhealthy ? ServiceRegistrationState.Unhealthy
                : _report.AllStand(lease) ? ServiceRegistrationState.Registered
                : ServiceRegistrationState.Registering;
            return new ServiceRegistrationStatus
            {
                State = state,
                InstanceId = InstanceId,
                Keys = [.. _written.Keys.Order(StringComparer.Ordinal)],
                LeaseId = lease.LeaseId,
                LeaseTimeToLive = lease.TimeToLive,
                LeaseRemaining = lease.Remaining,
                LastError = LastError,
                IsEtcdAway = RegistrationReport.IsOutage(lease.LastError),
                LeasesLost = _report.LeasesLost,
                ReadError = lease.ReadError?.Message,
            };
        }
    }

    /// <summary>Whether a lease is, or was, that of this registration.</summary>
    public bool Owns(long leaseId) => _report.Owns(leaseId);

    /// <summary>Whether a lease is, or was, that of a registration of this application, in whatever cluster of the settings.</summary>
    public bool IsOfThisProcess(long leaseId) => Owns(leaseId) || _all.FindOwner(leaseId, than: this) is not null;

    /// <summary>Whether this registration keeps a key in etcd.</summary>
    public bool Holds(string key) => _written.ContainsKey(key) && _keeper.Status.State == EtcdLeaseState.Held && !_report.IsOwnedByOther(key);

    /// <summary>Another registration of this application stands aside for this one's key.</summary>
    public void OnHeld(string key) => _report.OnHeld(key);

    /// <summary>Whether this registration desires a key that another one of this application has put into the same etcd.</summary>
    public bool StandsAside(string key) => !_stopping.IsCancellationRequested && _written.ContainsKey(key) && _report.IsAside(key);

    /// <summary>Reports that another process has this one's id.</summary>
    public void ReportDuplicate(IEnumerable<string> keys) => _report.OnDuplicateId(InstanceId, keys);

    /// <summary>Waits until etcd has the desired state.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _keeper.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The application stops: there is no desired state any more.
        }
    }

    /// <summary>Reconciles, and waits until etcd has the desired state.</summary>
    /// <param name="cancellationToken">Ends the waiting; the change is made all the same.</param>
    public async Task ApplyAsync(CancellationToken cancellationToken)
    {
        await ReconcileAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        if (!_stopping.IsCancellationRequested)
        {
            await FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reconciles with a new desired state, without waiting for etcd to have all of it.</summary>
    public Task ReconcileAsync(DesiredRegistration desired) => ReconcileAsync(() => _desired = desired);

    /// <summary>Reconciles after the overrides changed, without waiting for etcd to have all of it.</summary>
    public Task ReconcileAsync() => ReconcileAsync(static () => { });

    private void OnLease(EtcdLeaseStatus lease)
    {
        _hadLease |= lease.LeaseId != 0;
        _report.OnLease(lease);
        if (lease.LastError is EtcdException error && RegistrationReport.IsLasting(error))
        {
            _refused.TrySetResult(error);
        }
    }

    private void OnConflict(EtcdKeyValue record)
    {
        if (_all.FindOwner(record.LeaseId, than: this) is { } other)
        {
            _report.OnAside(record.Key);
            other.OnHeld(record.Key);
            _all.ReportSameCluster(this, other, _logger);
        }
        else if (_written.TryGetValue(record.Key, out var own) && own.IsShared && record.Value.Span.SequenceEqual(own.Value))
        {
            _report.OnShared(record);
        }
        else
        {
            _report.OnConflict(record);
        }
    }

    private async Task ReconcileAsync(Action update)
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!_stopping.IsCancellationRequested)
            {
                update();
                await ReconcileGateHeldAsync().ConfigureAwait(false);
            }
        }
        catch (ObjectDisposedException)
        {
            // The client was disposed, as the last thing before the process ends.
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>
    /// Publishes that the application drains, serves on for a moment, deletes its keys, revokes the lease, and serves on for another
    /// moment. Each exchange with etcd has its limit; when etcd is away, the lease runs out by itself. Never throws. A second call waits for
    /// the first and does nothing.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_stopped)
            {
                // A host may be stopped twice at once, as WebApplicationFactory does beside the application's own RunAsync.
                return;
            }

            // Without etcd no client learns of it, and serving on for longer would only delay the stop. Once all is disposed nothing serves.
            using var serving = CancellationTokenSource.CreateLinkedTokenSource(_disposing.Token, cancellationToken);
            var standing = Standing();
            foreach (var key in standing.Keys.Where(_report.IsAside).ToList())
            {
                // It goes with the other registration, which stops too, and would be put again as soon as it is gone.
                _keeper.Remove(key);
                standing.Remove(key);
            }

            var stored = CountStored();

            // Before it is asked whether there is a lease: one that is granted a moment later gets no key that would vanish without having drained.
            _deregistration.BeginDraining(standing);

            // Without a lease no key was ever sent, so nobody has to hear of a drain: that etcd is away must hold up neither the stop nor the disposal.
            if (_hadLease && (!_disposing.IsCancellationRequested || _keeper.Status.LeaseId != 0))
            {
                await _deregistration.DrainAsync(standing, serving.Token, cancellationToken).ConfigureAwait(false);
            }

            // Those that are put as draining for the first time stand too; those of formats that know no draining are gone by now.
            stored = Math.Min(standing.Count, Math.Max(stored, CountStored()));
            var stood = stored > 0 && _keeper.Status.LeaseId != 0;
            var hasLeft = await LeaveAsync(cancellationToken).ConfigureAwait(false);
            if (hasLeft && stood)
            {
                await _deregistration.ServeOnAsync(stored, serving.Token).ConfigureAwait(false);
            }
            else if (!hasLeft && cancellationToken.IsCancellationRequested)
            {
                _isToLeave = RegistrationReport.IsAnswering(_keeper.Status);
                _deregistration.OnCutShort();
            }
        }
        finally
        {
            _stopped = true;
            _gate.Release();
        }
    }

    /// <summary>
    /// Deregisters at once if <see cref="StopAsync"/> was not called, as when the application's start failed. The keys drain all the same, or
    /// clients would take it for a crash. One that is under way goes on without its delays. After one that was cut short the keys are deleted, if that
    /// was for want of time and not of etcd.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _disposing.CancelAsync().ConfigureAwait(false);
        await StopAsync(CancellationToken.None).ConfigureAwait(false);
        if (_isToLeave)
        {
            await LeaveAsync(CancellationToken.None).ConfigureAwait(false);
        }

        await _keeper.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<bool> LeaveAsync(CancellationToken cancellationToken)
    {
        var hasLeft = await _deregistration.LeaveAsync(cancellationToken).ConfigureAwait(false);
        if (hasLeft)
        {
            _written = new Dictionary<string, RegistrationRecord>();
        }

        return hasLeft;
    }

    private async Task ReconcileGateHeldAsync()
    {
        var before = Standing();
        IReadOnlyDictionary<string, RegistrationRecord> after = _overrides.IsWithdrawn || _overrides.IsUnhealthy
            ? new Dictionary<string, RegistrationRecord>()
            : RegistrationRecord.Build(_desired, Layouts, InstanceId, _overrides.Weight);
        _written = after;
        _report.OnDesired(after.Keys);
        _replaced = before.Where(b => !after.ContainsKey(b.Key)).ToDictionary(StringComparer.Ordinal);
        foreach (var (key, record) in after)
        {
            // A key is claimed once, when this application comes into service; a later change never claims it back from a successor.
            if (!before.TryGetValue(key, out var old))
            {
                _keeper.Put(key, record.Value);
            }
            else if (!old.Value.AsSpan().SequenceEqual(record.Value))
            {
                _keeper.Update(key, record.Value);
            }
        }

        // Last: whoever reads this number and then waits for etcd must wait for all of the change.
        _changes++;
        if (_replaced.Count == 0)
        {
            return;
        }

        if (after.Count == 0)
        {
            await RemoveReplacedGateHeldAsync().ConfigureAwait(false);
        }
        else if (!_isReplacing)
        {
            _isReplacing = true;
            _ = ReplaceAsync();
        }
    }

    /// <summary>
    /// The new keys stand before the replaced ones drain, however long etcd is away: there is no moment with nobody to call, and a change
    /// that etcd refuses costs nothing.
    /// </summary>
    private async Task ReplaceAsync()
    {
        try
        {
            while (true)
            {
                var change = _changes;
                await _keeper.FlushAsync(_stopping.Token).ConfigureAwait(false);
                await _gate.WaitAsync(_stopping.Token).ConfigureAwait(false);
                try
                {
                    if (change == _changes)
                    {
                        _isReplacing = false;
                        await RemoveReplacedGateHeldAsync().ConfigureAwait(false);
                        return;
                    }
                }
                finally
                {
                    _gate.Release();
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The application stops, and its stop drains all keys.
        }
    }

    private async Task RemoveReplacedGateHeldAsync()
    {
        await _deregistration.RemoveAsync(_replaced, key => _all.IsDesired(key, than: this), _stopping.Token).ConfigureAwait(false);
        if (!_stopping.IsCancellationRequested)
        {
            _replaced = [];
        }
    }

    /// <summary>How many of the keys etcd has, from this application or from a replica for it.</summary>
    private int CountStored() => _keeper.Status.KeysStored + _report.Shared;

    /// <summary>All keys that etcd has, or is to have for now.</summary>
    private Dictionary<string, RegistrationRecord> Standing() => _replaced.Concat(_written).ToDictionary(StringComparer.Ordinal);
}
