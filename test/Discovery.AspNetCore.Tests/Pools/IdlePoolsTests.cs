using System.Diagnostics.Metrics;
using System.Text;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Diagnostics.Page;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>Names that come from requests are not kept for ever, and nobody who calls notices.</summary>
public sealed class IdlePoolsTests : IAsyncDisposable
{
    private static readonly TimeSpan LookInterval = IdlePools.IdleTime / 10;

    private readonly ModelEtcd _etcd = new();
    private readonly FakeTimeProvider _clock = new();
    private readonly LogRecorder _log = new();
    private readonly Dictionary<string, string?> _settings = new() { ["Etcd:Discovery:AllowLoopback"] = "true" };
    private readonly List<Action<IServiceCollection>> _setups = [];
    private readonly List<IAsyncDisposable> _servers = [];
    private readonly TaskCompletionSource _answersEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lazy<ServiceProvider> _services;

    public IdlePoolsTests() => _services = new Lazy<ServiceProvider>(() =>
    {
        var services = new ServiceCollection();
        services.AddLogging(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(_log));
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(_settings).Build());
        services.AddSingleton<IServiceSource>(_etcd);
        services.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, _clock);
        _setups.ForEach(s => s(services));
        services.AddEtcdDiscovery();
        return services.BuildServiceProvider();
    });

    private PoolCache Pools => _services.Value.GetRequiredService<PoolCache>();

    private IServiceDirectory Directory => _services.Value.GetRequiredService<IServiceDirectory>();

    [Fact]
    public async Task Five_hundred_names_that_nobody_has_leave_nothing_behind_once_nobody_calls_them()
    {
        var calls = Enumerable.Range(0, 500).Select(async i =>
        {
            using var caller = Caller(new PoolHandle(Pools, $"typo{i}", cluster: null));
            await Assert.ThrowsAsync<HttpRequestException>(() => GetAsync(caller));
        }).ToList();
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            return calls.TrueForAll(static c => c.IsCompleted);
        });
        await Task.WhenAll(calls);
        Assert.Equal((500, 500), (Pools.All.Count(), Directory.Services.Count));
        Assert.Equal(500, ServicesMeasured().Count);

        // Who waits along with the first call may end a moment after it, and a wait keeps its pool.
        await PassUntilAsync(() => !Pools.All.Any(), IdlePools.IdleTime);
        Assert.Empty(ServicesMeasured());
        Assert.Equal(500, _log.At(LogLevel.Debug).Count(static l => l.Contains("is no longer kept ready for calls", StringComparison.Ordinal)));

        await PassUntilAsync(() => Directory.Services.Count == 0, ServiceDirectory.IdleTime);
        await Eventually.IsTrue(() => _etcd.OpenWatches == 0);
        Assert.Empty(new DiscoveryReporter(_services.Value, new ChangeHistory(_clock), _clock).Views());
        var cache = _services.Value.GetRequiredService<IOptionsMonitorCache<EtcdDiscoveryOptions>>();
        Assert.DoesNotContain(Enumerable.Range(0, 500), i => cache.TryRemove($"typo{i}"));
    }

    [Fact]
    public async Task What_was_kept_of_a_forgotten_service_works_and_holds_nothing_of_it()
    {
        Register("svc", (await StartServerAsync()).Address);
        var handle = new PoolHandle(Pools, "svc", cluster: null);
        using var caller = Caller(handle);
        await CallAsync(caller);
        var first = new WeakReference(Pools.OfService("svc"));

        Pass(IdlePools.IdleTime * 3);
        Assert.Empty(Directory.Services);
        Assert.Empty(Pools.All);
        await Eventually.IsTrue(() =>
        {
            GC.Collect();
            return !first.IsAlive;
        });

        await CallAsync(caller);
        Assert.Same(Pools.OfService("svc"), handle.Use());
        Assert.Same(handle.Use(), Assert.Single(Pools.All).Pool);
        Assert.Single(ServicesMeasured());
    }

    [Fact]
    public async Task A_service_that_is_called_every_few_minutes_stays_ready()
    {
        Register("svc", (await StartServerAsync()).Address);
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        await CallAsync(caller);
        var pool = Pools.OfService("svc");

        for (var i = 0; i < 5; i++)
        {
            Pass(IdlePools.IdleTime - LookInterval);
            await CallAsync(caller);
        }

        Assert.Same(pool, Pools.OfService("svc"));
        Assert.DoesNotContain(_log.At(LogLevel.Debug), static l => l.Contains("no longer", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_service_of_a_registered_client_stays_ready_and_is_the_same_by_its_name()
    {
        Register("svc", (await StartServerAsync()).Address);
        _setups.Add(static s => s.AddHttpClient("c").AddEtcdDiscovery("svc"));
        _setups.Add(static s => s.AddHttpClient("own").AddEtcdDiscovery("other", static o => o.Policy = "Random"));
        var (shared, own) = (Pools.OfClient("c"), Pools.OfClient("own"));
        Assert.Same(shared, Pools.OfService("svc"));
        Pools.OfService("other");

        Pass(IdlePools.IdleTime * 3);

        Assert.Equal([own, shared], Pools.All.OrderBy(static p => p.OptionsName, StringComparer.Ordinal).Select(static p => p.Pool));
        Assert.Equal(2, Directory.Services.Count);
        using var client = _services.Value.GetRequiredService<IHttpClientFactory>().CreateClient("c");
        await client.GetStringAsync("x");
    }

    [Fact]
    public async Task A_response_that_goes_on_keeps_its_service_and_is_not_cut()
    {
        var server = await StartServerAsync(async context =>
        {
            await context.Response.WriteAsync("begun");
            await context.Response.Body.FlushAsync();
            await _answersEnd.Task;
            await context.Response.WriteAsync(" ended");
        });
        Register("svc", server.Address);
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        using var response = await GetAsync(caller);
        var pool = Pools.OfService("svc");

        Pass(IdlePools.IdleTime * 3);
        Assert.Same(pool, Assert.Single(Pools.All).Pool);
        _answersEnd.SetResult();
        Assert.Equal("begun ended", await response.Content.ReadAsStringAsync());

        await PassUntilAsync(() => !Pools.All.Any(), IdlePools.IdleTime);
    }

    [Fact]
    public async Task A_call_that_got_the_pool_just_before_it_was_forgotten_gets_through()
    {
        var server = await StartServerAsync(async context =>
        {
            if (context.Request.Path == "/wait")
            {
                await _answersEnd.Task;
            }
        });
        Register("svc", server.Address);
        var got = Pools.OfService("svc");
        await got.WaitForInstanceAsync(CancellationToken.None);

        Pass(IdlePools.IdleTime + LookInterval);
        Assert.Empty(Pools.All);
        using var late = new HttpMessageInvoker(new DiscoveryHandler(() => got));
        var waiting = GetAsync(late, "wait");
        await Eventually.IsTrue(() => got.IsBusy);
        Pass(LookInterval * 2);
        Assert.False(got.IsDetached);

        _answersEnd.SetResult();
        await (await waiting).Content.ReadAsStringAsync();
        Pass(LookInterval * 2);
        Assert.True(got.IsDetached);
        await CallAsync(late);
    }

    [Fact]
    public async Task A_call_that_got_the_pool_before_anything_was_listed_goes_by_the_next_one()
    {
        var server = await StartServerAsync();
        _etcd.IsDown = true;
        var got = Pools.OfService("svc");
        Pass(IdlePools.IdleTime * 3);
        Assert.True(got.IsDetached);
        Assert.Empty(Directory.Services);

        _etcd.IsDown = false;
        Register("svc", server.Address);
        using var late = new HttpMessageInvoker(new DiscoveryHandler(() => got));

        await CallAsync(late);
    }

    [Fact]
    public async Task Calls_while_services_are_forgotten_all_the_time_do_not_fail()
    {
        var server = await StartServerAsync();
        _settings["Etcd:Discovery:Services:svc:Instances:0"] = server.Address;
        var forgotten = 0;
        Pools.Forgotten += (_, _) => Interlocked.Increment(ref forgotten);
        var isOver = false;
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        var random = new Random(1);
        var calls = Task.Run(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                await CallAsync(caller);

                // The next call comes at any moment of a look, or before ten of them.
                Thread.SpinWait(random.Next(100_000));
            }
        });

        await Eventually.IsTrue(() =>
        {
            for (var i = 0; i < 1000; i++)
            {
                _clock.Advance(LookInterval);
            }

            return forgotten >= 100 || calls.IsCompleted;
        });
        Volatile.Write(ref isOver, true);

        await calls;
    }

    [Fact]
    public async Task While_etcd_is_away_what_is_known_of_a_service_is_kept()
    {
        var server = await StartServerAsync();
        Register("svc", server.Address);
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        await CallAsync(caller);
        (_etcd.IsDown, var pool) = (true, Pools.OfService("svc"));
        _etcd.Disconnect();
        await Eventually.IsTrue(() => !pool.Status.IsConnected);

        Pass(IdlePools.IdleTime * 5);
        Assert.Same(pool, Assert.Single(Pools.All).Pool);
        await CallAsync(caller);

        _etcd.IsDown = false;
        _etcd.Connect();
        await Eventually.IsTrue(() => pool.Status.IsConnected);
        await PassUntilAsync(() => !Pools.All.Any(), IdlePools.IdleTime);
    }

    [Fact]
    public async Task Where_etcd_goes_away_after_a_service_was_forgotten_the_next_call_still_finds_its_instances()
    {
        Register("svc", (await StartServerAsync()).Address);
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        await CallAsync(caller);
        await PassUntilAsync(() => !Pools.All.Any(), IdlePools.IdleTime);
        _etcd.IsDown = true;
        _etcd.Disconnect();
        await Eventually.IsTrue(() => !Assert.Single(Directory.Services).IsConnected);

        Pass(ServiceDirectory.IdleTime * 3);
        await CallAsync(caller).WaitAsync(TimeSpan.FromSeconds(20));

        _etcd.IsDown = false;
        _etcd.Connect();
        await Eventually.IsTrue(() => Assert.Single(Directory.Services).IsConnected);
        await Eventually.IsTrue(() =>
        {
            Pass(LookInterval);
            return Directory.Services.Count == 0;
        });
    }

    [Fact]
    public async Task After_a_reload_that_is_not_valid_a_forgotten_service_is_called_by_its_last_valid_settings()
    {
        Register("svc", (await StartServerAsync()).Address);
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        await CallAsync(caller);
        var configuration = (IConfigurationRoot)_services.Value.GetRequiredService<IConfiguration>();
        configuration["Etcd:Discovery:ReadyTimeout"] = "soon";
        configuration.Reload();
        await PassUntilAsync(() => !Pools.All.Any(), IdlePools.IdleTime);

        await CallAsync(caller).WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_directory_of_the_applications_own_is_subscribed_to_only_while_somebody_calls()
    {
        var server = await StartServerAsync();
        var directory = new CountingDirectory();
        directory.Inner.Publish("svc", server.Address);
        _setups.Add(s => s.AddSingleton<IServiceDirectory>(directory));
        using var caller = Caller(new PoolHandle(Pools, "svc", cluster: null));
        await CallAsync(caller);
        await Eventually.IsTrue(() => directory.Subscriptions == 1);

        Pass(IdlePools.IdleTime + (2 * LookInterval));
        await Eventually.IsTrue(() => directory.Subscriptions == 0);

        await CallAsync(caller);
        await Eventually.IsTrue(() => directory.Subscriptions == 1);
    }

    public async ValueTask DisposeAsync()
    {
        _answersEnd.TrySetResult();
        await _services.Value.DisposeAsync();
        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }

        _log.Dispose();
    }

    private static HttpMessageInvoker Caller(PoolHandle handle) => new(new DiscoveryHandler(handle.Use));

    private static Task<HttpResponseMessage> GetAsync(HttpMessageInvoker caller, string path = "")
        => caller.SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri($"http://svc/{path}")), CancellationToken.None);

    private static async Task CallAsync(HttpMessageInvoker caller)
    {
        using var response = await GetAsync(caller);
        response.EnsureSuccessStatusCode();
        await response.Content.ReadAsStringAsync();
    }

    /// <summary>The services that have metrics of calls.</summary>
    private HashSet<string> ServicesMeasured()
    {
        HashSet<string> services = [];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Name == "discovery.client.picks" && instrument.Meter.Scope == _services.Value.GetRequiredService<IMeterFactory>())
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
        {
            foreach (var (name, value) in tags)
            {
                if (name == "discovery.service")
                {
                    services.Add((string)value!);
                }
            }
        });
        listener.Start();
        listener.RecordObservableInstruments();
        return services;
    }

    /// <summary>Lets time pass as a clock does, look by look.</summary>
    /// <summary>Has time go on, by one look after the other, as what a look waits for may end on another thread.</summary>
    private Task PassUntilAsync(Func<bool> condition, TimeSpan atLeast)
    {
        Pass(atLeast);
        return Eventually.IsTrue(() =>
        {
            Pass(LookInterval);
            return condition();
        });
    }

    private void Pass(TimeSpan time)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += LookInterval)
        {
            _clock.Advance(LookInterval);
        }
    }

    private async Task<BackendServer> StartServerAsync(RequestDelegate? answer = null)
    {
        var server = await BackendServer.StartAsync(answer);
        _servers.Add(server);
        return server;
    }

    private void Register(string service, string address)
        => _etcd.Put($"services/{service}/{address}", Encoding.UTF8.GetBytes($$"""{"Addr":"{{address}}"}"""));

    private sealed class CountingDirectory : IServiceDirectory
    {
        private int _subscriptions;

        public FakeDirectory Inner { get; } = new();

        public int Subscriptions => Volatile.Read(ref _subscriptions);

        public IReadOnlyCollection<ServiceStatus> Services => Inner.Services;

        public ServiceSnapshot? GetSnapshot(string serviceName) => Inner.GetSnapshot(serviceName);

        public ServiceStatus GetStatus(string serviceName) => Inner.GetStatus(serviceName);

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
            => Inner.WaitForReadyAsync(serviceName, cancellationToken);

        public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
            string serviceName, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            Interlocked.Increment(ref _subscriptions);
            try
            {
                await foreach (var snapshot in Inner.SubscribeAsync(serviceName, cancellationToken))
                {
                    yield return snapshot;
                }
            }
            finally
            {
                Interlocked.Decrement(ref _subscriptions);
            }
        }
    }
}
