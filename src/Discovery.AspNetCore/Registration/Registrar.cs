using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Keeps in etcd what the application is: puts its records under one lease, follows changes of settings, weight and health, and takes
/// the records away when the application withdraws or stops. What is wanted is noted first and brought about then, one change at a time,
/// so a caller that gives up waiting loses nothing, and nothing that waits for etcd holds up the stop.
/// </summary>
internal sealed partial class Registrar : IAsyncDisposable
{
    private readonly EtcdLeaseKeeper _keeper;
    private readonly RegistrationWishes _wishes;
    private readonly RegistrationReport _report;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _stopping = new();

    private volatile RegistrationPlan _plan;
    private volatile IReadOnlyDictionary<string, RegistrationRecord> _written = new Dictionary<string, RegistrationRecord>();
    private volatile bool _stopped;
    private volatile int _changes;

    // Under the gate: keys that stand only until those that replace them do, and whether a task waits for that.
    private IReadOnlyDictionary<string, RegistrationRecord> _leaving = new Dictionary<string, RegistrationRecord>();
    private bool _isReplacing;

    public Registrar(
        EtcdClient client, RegistrationPlan plan, string instanceId, RegistrationWishes wishes, TimeProvider time, ILogger logger)
    {
        _plan = plan;
        InstanceId = instanceId;
        _wishes = wishes;
        _time = time;
        _logger = logger;
        _keeper = client.KeepLease(plan.Options.TimeToLive);
        _report = new RegistrationReport(logger);
        _keeper.KeyConflict += _report.Taken;
        _keeper.StatusChanged += lease => _report.Lease(lease, _written.Keys);
    }

    public string InstanceId { get; }

    /// <summary>The settings as they are in force.</summary>
    public EtcdRegistrationOptions Options => _plan.Options;

    public ServiceRegistrationStatus Status
    {
        get
        {
            var lease = _keeper.Status;
            var state =
                _stopped ? ServiceRegistrationState.Stopped
                : _stopping.IsCancellationRequested ? ServiceRegistrationState.Draining
                : !_plan.Options.Enabled ? ServiceRegistrationState.Disabled
                : _wishes.IsWithdrawn ? ServiceRegistrationState.Withdrawn
                : _plan.Endpoints.Count == 0 ? ServiceRegistrationState.NoAddress
                : _wishes.IsUnhealthy ? ServiceRegistrationState.Unhealthy
                : RegistrationReport.AllStand(lease) ? ServiceRegistrationState.Registered
                : ServiceRegistrationState.Registering;
            return new ServiceRegistrationStatus(
                state, InstanceId, [.. _written.Keys.Order(StringComparer.Ordinal)], lease.LeaseId, lease.LastError ?? _plan.Problem ?? _report.Problem);
        }
    }

    /// <summary>Takes note that another process has this one's id.</summary>
    public void ReportDuplicate(IEnumerable<string> keys) => _report.Duplicate(InstanceId, keys);

    /// <summary>Waits until etcd holds what is wanted.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _keeper.FlushAsync(cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            // The application stops: nothing is wanted any more.
        }
    }

    /// <summary>Brings about what the plan and the wishes come to, and waits until etcd has it.</summary>
    /// <param name="plan">A new plan; null: as before.</param>
    /// <param name="cancellationToken">Ends the waiting; the change is made all the same.</param>
    public async Task ApplyAsync(RegistrationPlan? plan, CancellationToken cancellationToken)
    {
        await NoteAsync(plan).WaitAsync(cancellationToken);
        if (!_stopping.IsCancellationRequested)
        {
            await FlushAsync(cancellationToken);
        }
    }

    /// <summary>Brings about what the plan and the wishes come to, without waiting for etcd to have all of it.</summary>
    public async Task NoteAsync(RegistrationPlan? plan)
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _gate.WaitAsync();
        try
        {
            if (!_stopping.IsCancellationRequested)
            {
                _plan = plan ?? _plan;
                await ConvergeGateHeldAsync();
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
    /// Says that the application drains, serves on for a moment, takes its keys away, revokes the lease, and serves on for another
    /// moment. Each exchange with etcd has its limit; when etcd is away, the lease runs out by itself. Never throws.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _gate.WaitAsync(CancellationToken.None);
        try
        {
            // Without etcd nobody learns anything, and serving on for longer would only delay the stop.
            var standing = Standing();
            if (standing.Count > 0 && await SayGoodbyeAsync(standing, cancellationToken))
            {
                Log.Draining(_logger, Options.DrainDelay);
                await PauseAsync(Options.DrainDelay, cancellationToken);
            }

            var stood = standing.Count > 0 && _keeper.Status.LeaseId != 0;
            var left = await LeaveAsync(cancellationToken);
            if (left && stood)
            {
                Log.Left(_logger, standing.Count);
                await PauseAsync(Options.LeaveDelay, cancellationToken);
            }
            else if (!left && cancellationToken.IsCancellationRequested)
            {
                Log.CutShort(_logger);
            }
        }
        finally
        {
            _stopped = true;
            _gate.Release();
        }
    }

    /// <summary>Leaves etcd at once if <see cref="StopAsync"/> was not called, as when the application's start failed.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        if (!_stopped)
        {
            await LeaveAsync(CancellationToken.None);
            _stopped = true;
        }

        await _keeper.DisposeAsync();
    }

    private async Task ConvergeGateHeldAsync()
    {
        var before = Standing();
        IReadOnlyDictionary<string, RegistrationRecord> after = _wishes.IsWithdrawn || _wishes.IsUnhealthy
            ? new Dictionary<string, RegistrationRecord>()
            : RegistrationRecords.Build(_plan, InstanceId, _wishes.Weight);
        _written = after;
        _leaving = before.Where(b => !after.ContainsKey(b.Key)).ToDictionary(StringComparer.Ordinal);
        foreach (var (key, record) in after)
        {
            // A key is claimed once, when this application comes into service; a later change never takes it from a successor.
            if (!before.TryGetValue(key, out var old))
            {
                _keeper.Put(key, record.Value);
            }
            else if (!old.Value.AsSpan().SequenceEqual(record.Value))
            {
                _keeper.Update(key, record.Value);
            }
        }

        // Last, for who reads this number and then waits for etcd must wait for all of the change.
        _changes++;
        if (_leaving.Count == 0)
        {
            return;
        }

        if (after.Count == 0)
        {
            await LeaveBehindGateHeldAsync();
        }
        else if (!_isReplacing)
        {
            _isReplacing = true;
            _ = ReplaceAsync();
        }
    }

    /// <summary>
    /// What replaces a key stands before that key says goodbye, however long etcd is away: there is no moment with nobody to call, and a
    /// change that etcd refuses costs nothing.
    /// </summary>
    private async Task ReplaceAsync()
    {
        try
        {
            while (true)
            {
                var change = _changes;
                await _keeper.FlushAsync(_stopping.Token);
                await _gate.WaitAsync(_stopping.Token);
                try
                {
                    if (change == _changes)
                    {
                        _isReplacing = false;
                        await LeaveBehindGateHeldAsync();
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
            // The application stops, and says goodbye for all keys.
        }
    }

    private async Task LeaveBehindGateHeldAsync()
    {
        await SayGoodbyeAsync(_leaving, _stopping.Token);
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        foreach (var key in _leaving.Keys)
        {
            _keeper.Remove(key);
        }

        _leaving = new Dictionary<string, RegistrationRecord>();
    }

    /// <summary>All keys that etcd has, or is to have for now.</summary>
    private Dictionary<string, RegistrationRecord> Standing() => _leaving.Concat(_written).ToDictionary(StringComparer.Ordinal);

    /// <summary>First said, then gone: a client that sees a key go without a word takes it for a crash.</summary>
    /// <returns>Whether etcd has it.</returns>
    private Task<bool> SayGoodbyeAsync(IReadOnlyDictionary<string, RegistrationRecord> records, CancellationToken cancellationToken)
        => TellAsync(
            "this application drains",
            limit =>
            {
                foreach (var (key, record) in records)
                {
                    if (record.Goodbye is { } goodbye)
                    {
                        _keeper.Update(key, goodbye);
                    }
                    else
                    {
                        _keeper.Remove(key);
                    }
                }

                return _keeper.FlushAsync(limit);
            },
            cancellationToken);

    private Task<bool> LeaveAsync(CancellationToken cancellationToken)
        => TellAsync("this application leaves", _keeper.StopAsync, cancellationToken);

    private async Task<bool> TellAsync(string what, Func<CancellationToken, Task> tell, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Options.StopTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await tell(either.Token);
            return true;
        }
        catch (ObjectDisposedException)
        {
            // The application disposed its client before it stopped: there is nobody to tell, and nothing to warn of.
            return false;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Not for want of time: something else comes first.
            return false;
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            var reason = _keeper.Status.LastError ?? (e is EtcdException ? e : new TimeoutException("etcd did not answer."));
            Log.NotHeard(_logger, what, Options.StopTimeout, reason.Message);
            return false;
        }
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken cancellationToken)
        => await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    // The numbers go on after those of the service, which logs under the same name.
    private static partial class Log
    {
        [LoggerMessage(11, LogLevel.Information, "This application drains; it serves on for {Delay}.")]
        public static partial void Draining(ILogger logger, TimeSpan delay);

        [LoggerMessage(12, LogLevel.Information, "This application left etcd ({Keys} keys).")]
        public static partial void Left(ILogger logger, int keys);

        [LoggerMessage(13, LogLevel.Warning, "etcd could not be told within {Limit} (Etcd:Registration:StopTimeout) that {What}. {Reason}")]
        public static partial void NotHeard(ILogger logger, string what, TimeSpan limit, string reason);

        [LoggerMessage(18, LogLevel.Warning, "The stop was cut short, by HostOptions.ShutdownTimeout or by whoever asked for it, before etcd "
            + "was told that this application leaves; its keys go with their lease.")]
        public static partial void CutShort(ILogger logger);
    }
}
