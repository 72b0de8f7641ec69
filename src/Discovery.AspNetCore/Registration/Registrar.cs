using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Keeps in etcd what the application is: puts its records under one lease, follows changes of settings, weight and health, and takes
/// the records away when the application withdraws or stops.
/// </summary>
internal sealed partial class Registrar : IAsyncDisposable
{
    private readonly EtcdClient _client;
    private readonly EtcdLeaseKeeper _keeper;
    private readonly IReadOnlyList<AdvertisedEndpoint> _endpoints;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _gate = new(1, 1);

    private HashSet<string> _keys = new(StringComparer.Ordinal);
    private EtcdRegistrationOptions _options;
    private int? _weight;
    private bool _withdrawn;
    private bool _unhealthy;
    private bool _inService;
    private volatile bool _draining;
    private volatile bool _stopped;

    public Registrar(
        EtcdClient client,
        EtcdRegistrationOptions options,
        IReadOnlyList<AdvertisedEndpoint> endpoints,
        string instanceId,
        TimeProvider time,
        ILogger logger)
    {
        _client = client;
        _options = options;
        _endpoints = endpoints;
        InstanceId = instanceId;
        _time = time;
        _logger = logger;
        _keeper = client.KeepLease(options.TimeToLive);
        _keeper.KeyTaken += record => Log.KeyTaken(_logger, record.Key, record.LeaseId);
        _keeper.StatusChanged += OnLeaseChanged;
    }

    public string InstanceId { get; }

    public ServiceRegistrationStatus Status
    {
        get
        {
            var lease = _keeper.Status;
            var state =
                _stopped ? ServiceRegistrationState.Stopped
                : _draining ? ServiceRegistrationState.Draining
                : Volatile.Read(ref _withdrawn) ? ServiceRegistrationState.Withdrawn
                : Volatile.Read(ref _unhealthy) ? ServiceRegistrationState.Unhealthy
                : lease.State == EtcdLeaseState.Held && lease.KeysStored == lease.KeysWanted ? ServiceRegistrationState.Registered
                : ServiceRegistrationState.Registering;
            return new ServiceRegistrationStatus(
                state, InstanceId, [.. Volatile.Read(ref _keys).Order(StringComparer.Ordinal)], lease.LeaseId, lease.LastError);
        }
    }

    /// <summary>Wants the application to be in etcd. Returns at once.</summary>
    public Task StartAsync() => ChangeAsync(static () => { }, CancellationToken.None, flush: false);

    /// <summary>Waits until etcd holds what is wanted.</summary>
    public Task FlushAsync(CancellationToken cancellationToken) => _keeper.FlushAsync(cancellationToken);

    public Task SetWeightAsync(int weight, CancellationToken cancellationToken) => ChangeAsync(() => _weight = weight, cancellationToken);

    public Task SetWithdrawnAsync(bool withdrawn, CancellationToken cancellationToken)
        => ChangeAsync(() => Volatile.Write(ref _withdrawn, withdrawn), cancellationToken);

    public Task SetUnhealthyAsync(bool unhealthy, CancellationToken cancellationToken)
        => ChangeAsync(() => Volatile.Write(ref _unhealthy, unhealthy), cancellationToken);

    public Task SetOptionsAsync(EtcdRegistrationOptions options, CancellationToken cancellationToken)
        => ChangeAsync(() => _options = options, cancellationToken);

    /// <summary>
    /// Says that the application drains, serves on for a moment, takes its keys away, revokes the lease, and serves on for another
    /// moment. Each exchange with etcd has its limit; when etcd is away, the lease runs out by itself.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _draining = true;
        using var limit = new CancellationTokenSource(_options.StopTimeout, _time);
        using var saying = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var heard = false;
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (_inService)
            {
                Write(draining: true);
                await _keeper.FlushAsync(saying.Token);
                heard = true;
            }
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            Log.NotHeard(_logger, "it drains", e);
        }
        finally
        {
            _gate.Release();
        }

        // Without etcd nobody learns anything, and serving on for longer would only delay the stop.
        if (heard)
        {
            Log.Draining(_logger, _options.DrainDelay);
            await Task.Delay(_options.DrainDelay, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        using var secondLimit = new CancellationTokenSource(_options.StopTimeout, _time);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(secondLimit.Token, cancellationToken);
        try
        {
            await _keeper.StopAsync(leaving.Token);
            _stopped = true;
            Log.Left(_logger, _keys.Count);
            if (heard)
            {
                await Task.Delay(_options.LeaveDelay, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            Log.NotHeard(_logger, "it leaves", e);
        }
    }

    /// <summary>Reports other processes that claim this one's id.</summary>
    public async Task ReportConflictsAsync(CancellationToken cancellationToken)
    {
        foreach (var (name, service) in RegistrationRecords.Services(_options))
        {
            foreach (var layout in ServiceLayouts.Parse(service.Layout ?? _options.Layout))
            {
                var listing = await _client.ListAsync(layout.GetPrefix(name), cancellationToken: cancellationToken);
                foreach (var record in listing.Items)
                {
                    if (!_keys.Contains(record.Key)
                        && layout.TryRead(name, record, out var instance, out _)
                        && instance.InstanceId == InstanceId)
                    {
                        Log.SameId(_logger, record.Key, InstanceId);
                    }
                }
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _keeper.DisposeAsync();
        _gate.Dispose();
    }

    private void OnLeaseChanged(EtcdLeaseStatus status)
    {
        Log.Lease(_logger, status.State, status.LeaseId, status.KeysStored, status.KeysWanted);
        if (status.State == EtcdLeaseState.Lost)
        {
            Log.LeaseLost(_logger, status.LastError);
        }
    }

    private async Task ChangeAsync(Action change, CancellationToken cancellationToken, bool flush = true)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            change();
            if (_draining)
            {
                return;
            }

            if (!_withdrawn && !_unhealthy)
            {
                _inService = true;
                Write(draining: false);
            }
            else if (_inService)
            {
                _inService = false;

                // First said, then gone: a client that sees a key go without a word takes it for a crash.
                Write(draining: true);
                await _keeper.FlushAsync(cancellationToken);
                foreach (var key in _keys)
                {
                    _keeper.Remove(key);
                }
            }
        }
        finally
        {
            _gate.Release();
        }

        if (flush)
        {
            await _keeper.FlushAsync(cancellationToken);
        }
    }

    private void Write(bool draining)
    {
        var records = RegistrationRecords.Build(_options, _endpoints, InstanceId, _weight, draining);
        foreach (var key in _keys)
        {
            if (!records.ContainsKey(key))
            {
                _keeper.Remove(key);
            }
        }

        foreach (var (key, value) in records)
        {
            if (value is null)
            {
                _keeper.Remove(key);
            }
            else
            {
                _keeper.Put(key, value);
            }
        }

        Volatile.Write(ref _keys, [.. records.Keys]);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "This application drains; it serves on for {Delay}.")]
        public static partial void Draining(ILogger logger, TimeSpan delay);

        [LoggerMessage(2, LogLevel.Information, "This application left etcd ({Keys} keys).")]
        public static partial void Left(ILogger logger, int keys);

        [LoggerMessage(3, LogLevel.Warning, "etcd could not be told that {What}; the lease runs out by itself.")]
        public static partial void NotHeard(ILogger logger, string what, Exception exception);

        [LoggerMessage(4, LogLevel.Error, "The key {Key} of this application is in other hands (lease {Lease:x}): another process "
            + "advertises the same address. It is left alone; check Etcd:Registration:AdvertisedUrls of both.")]
        public static partial void KeyTaken(ILogger logger, string key, long lease);

        [LoggerMessage(5, LogLevel.Error, "The key {Key} bears this application's instance id '{Id}': two processes have the same "
            + "Etcd:Registration:InstanceId. Leave it unset, or give each its own.")]
        public static partial void SameId(ILogger logger, string key, string id);

        [LoggerMessage(6, LogLevel.Debug, "The lease is {State} ({Lease:x}), {Stored} of {Wanted} keys are stored.")]
        public static partial void Lease(ILogger logger, EtcdLeaseState state, long lease, int stored, int wanted);

        [LoggerMessage(7, LogLevel.Warning, "The lease of this application's keys is lost; a new one is asked for, and the keys are put again.")]
        public static partial void LeaseLost(ILogger logger, Exception? exception);
    }
}
