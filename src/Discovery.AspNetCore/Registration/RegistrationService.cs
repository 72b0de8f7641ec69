using Discovery.Etcd;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Registers when the application has started, for only then are the bound ports known, and leaves while the server still accepts
/// calls: the host stops the server only after all <see cref="StoppingAsync"/> have returned.
/// </summary>
internal sealed partial class RegistrationService : IHostedLifecycleService, IServiceRegistration, IAsyncDisposable
{
    private const int MaxWeight = 1_000_000;

    private readonly IServiceProvider _services;
    private readonly EtcdClient _client;
    private readonly EtcdClientOptions _clientOptions;
    private readonly RegistrationSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger<RegistrationService> _logger;
    private readonly CancellationTokenSource _stop = new();

    private volatile Registrar? _registrar;
    private IDisposable? _reload;
    private int _disposed;
    private Task _health = Task.CompletedTask;
    private Task _catchUp = Task.CompletedTask;

    public RegistrationService(
        IServiceProvider services,
        EtcdClient client,
        IOptions<EtcdClientOptions> clientOptions,
        RegistrationSettings settings,
        TimeProvider time,
        ILogger<RegistrationService> logger)
    {
        _services = services;
        _client = client;
        _clientOptions = clientOptions.Value;
        _settings = settings;
        _time = time;
        _logger = logger;
    }

    public ServiceRegistrationStatus Status
        => _registrar?.Status ?? new ServiceRegistrationStatus(ServiceRegistrationState.NotStarted, "", [], 0, null);

    public Task SetWeightAsync(int weight, CancellationToken cancellationToken = default)
    {
        if (weight is < 1 or > MaxWeight)
        {
            throw new ArgumentOutOfRangeException(nameof(weight), weight, $"A weight is from 1 to {MaxWeight}.");
        }

        return Started().SetWeightAsync(weight, cancellationToken);
    }

    public Task WithdrawAsync(CancellationToken cancellationToken = default) => Started().SetWithdrawnAsync(withdrawn: true, cancellationToken);

    public Task RestoreAsync(CancellationToken cancellationToken = default) => Started().SetWithdrawnAsync(withdrawn: false, cancellationToken);

    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        var options = _settings.Current;
        if (!options.Enabled)
        {
            Log.SwitchedOff(_logger);
            return;
        }

        IReadOnlyList<AdvertisedEndpoint> endpoints;
        try
        {
            endpoints = await ResolveEndpointsAsync(options, cancellationToken);
        }
        catch (InvalidOperationException e) when (!options.FailFast)
        {
            Log.NothingToAdvertise(_logger, e.Message);
            return;
        }

        if (endpoints.Count == 0)
        {
            Log.NoAddresses(_logger);
            return;
        }

        var registrar = new Registrar(_client, options, endpoints, InstanceIds.Get(options), _time, _logger);
        _registrar = registrar;
        await registrar.StartAsync();
        await WaitForEtcdAsync(registrar, options, cancellationToken);
        _reload = _settings.OnChange(changed => _ = ReloadAsync(registrar, changed));
        _health = HealthGate.RunAsync(_services, options.Health, registrar, _time, _logger, _stop.Token);
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _reload?.Dispose();
        await _stop.CancelAsync();
        await Task.WhenAll(_health, _catchUp).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_registrar is { } registrar)
        {
            await registrar.StopAsync(cancellationToken);
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        // The container knows the service by several names and disposes it by each.
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _reload?.Dispose();
        await _stop.CancelAsync();
        await Task.WhenAll(_health, _catchUp).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_registrar is { } registrar)
        {
            await registrar.DisposeAsync();
        }

        _stop.Dispose();
    }

    private Registrar Started()
        => _registrar ?? throw new InvalidOperationException(
            "The application is not registered: it has not started yet, it has no address to advertise, or Etcd:Registration:Enabled is false.");

    private async Task<IReadOnlyList<AdvertisedEndpoint>> ResolveEndpointsAsync(
        EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        // A generic host has no server, and the test server has no addresses: there only what is configured can be advertised.
        var bound = _services.GetService<IServer>()?.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        var resolver = new AdvertisedAddressResolver(
            new LocalAddresses(), _client.Endpoints, new EndpointNames(_services.GetRequiredService<IConfiguration>()), _logger);
        return await resolver.ResolveAsync(options, [.. bound], cancellationToken);
    }

    private async Task WaitForEtcdAsync(Registrar registrar, EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_clientOptions.RequestTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await registrar.FlushAsync(either.Token);
            await AfterRegisteredAsync(registrar, options, either.Token);
        }
        catch (Exception e) when (e is EtcdException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var cause = registrar.Status.LastError ?? e;
            if (options.FailFast)
            {
                throw new InvalidOperationException(
                    $"This application could not be registered within {_clientOptions.RequestTimeout.TotalSeconds:0.###} s "
                    + $"(Etcd:RequestTimeout), and Etcd:Registration:FailFast is true. {cause.Message}",
                    cause);
            }

            Log.KeepsTrying(_logger, string.Join(", ", _client.Endpoints), cause.Message);
            _catchUp = CatchUpAsync(registrar, options);
        }
    }

    private async Task CatchUpAsync(Registrar registrar, EtcdRegistrationOptions options)
    {
        try
        {
            await registrar.FlushAsync(_stop.Token);
            await AfterRegisteredAsync(registrar, options, _stop.Token);
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            // The keeper goes on; what is missed here is a log line and the check for a second process with the same id.
            Log.CheckMissed(_logger, e);
        }
    }

    private async Task AfterRegisteredAsync(Registrar registrar, EtcdRegistrationOptions options, CancellationToken cancellationToken)
    {
        Log.Registered(_logger, string.Join(", ", registrar.Status.Keys));

        // Generated ids are random; only one that somebody chose can be chosen twice.
        if (!string.IsNullOrEmpty(options.InstanceId))
        {
            await registrar.ReportConflictsAsync(cancellationToken);
        }
    }

    private async Task ReloadAsync(Registrar registrar, EtcdRegistrationOptions options)
    {
        try
        {
            await registrar.SetOptionsAsync(options, _stop.Token);
            Log.Reloaded(_logger);
        }
        catch (Exception e) when (e is EtcdException or OperationCanceledException)
        {
            Log.CheckMissed(_logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Registered in etcd: {Keys}.")]
        public static partial void Registered(ILogger logger, string keys);

        [LoggerMessage(2, LogLevel.Information, "Registration is switched off (Etcd:Registration:Enabled is false).")]
        public static partial void SwitchedOff(ILogger logger);

        [LoggerMessage(3, LogLevel.Error, "This application is not registered: {Problem}")]
        public static partial void NothingToAdvertise(ILogger logger, string problem);

        [LoggerMessage(4, LogLevel.Warning, "This application is not registered: its server has no network addresses. Set "
            + "Etcd:Registration:AdvertisedUrls to register it all the same, e.g. http://10.0.0.1:5000.")]
        public static partial void NoAddresses(ILogger logger);

        [LoggerMessage(5, LogLevel.Error, "This application could not be registered in etcd at {Endpoints} yet; it serves, and keeps "
            + "trying. {Cause}")]
        public static partial void KeepsTrying(ILogger logger, string endpoints, string cause);

        [LoggerMessage(6, LogLevel.Debug, "Following up on the registration ended early.")]
        public static partial void CheckMissed(ILogger logger, Exception exception);

        [LoggerMessage(7, LogLevel.Information, "The registration's settings changed; the keys were put again.")]
        public static partial void Reloaded(ILogger logger);
    }
}
