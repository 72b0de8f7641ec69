using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Discovery.FieldTests.Stops;

/// <summary>
/// Hosts that are stopped twice at once, as by WebApplicationFactory beside the application's own RunAsync, stopped or disposed while they start, and
/// disposed while they stop. None of it may throw, be logged as a problem, hang, or leave a key.
/// </summary>
[Collection(Alone.Name)]
public sealed class StopTests : IAsyncLifetime
{
    private const int Rounds = 30;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static (byte[] b) => b, static b => b);
    private static readonly Method<byte[], byte[]> AnyMethod = new(MethodType.Unary, "etcdserverpb.Maintenance", "Status", Bytes, Bytes);

    private readonly List<string> _problems = [];
    private readonly ConcurrentQueue<string> _unobserved = [];

    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync()
    {
        // What other tests left unobserved is not looked for here.
        CollectGarbage();
        TaskScheduler.UnobservedTaskException += OnUnobserved;
        _etcd = await EmbeddedEtcdServer.StartAsync();
    }

    public async Task DisposeAsync()
    {
        TaskScheduler.UnobservedTaskException -= OnUnobserved;
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task Stopped_twice_at_once_and_disposed_by_the_first_that_is_done()
    {
        Func<WholeApplication, bool>[] moments =
        [
            static a => a.IsAt(nameof(IHostedLifecycleService.StartedAsync)),
            static a => a.Stopping.IsCancellationRequested,
            static a => a.Log.Has("This application drains"),
            static a => a.Log.Has("This application left etcd"),
            static a => a.IsAt(nameof(IHostedLifecycleService.StopAsync)),
            static a => a.IsAt(nameof(IHostedLifecycleService.StoppedAsync)),
        ];
        for (var round = 0; round < Rounds; round++)
        {
            var application = new WholeApplication(_etcd);
            var moment = moments[round % moments.Length];
            await application.Host.StartAsync();
            if (round % 2 == 0)
            {
                await application.UseAsync();
            }

            var run = RunToEndAsync(application.Host);
            var stop = application.Host.StopAsync();
            await Eventually.IsTrue(() => moment(application) || stop.IsCompleted);
            var second = application.Host.StopAsync();

            await Task.WhenAll(stop, second, run).WaitAsync(Limit);
            await LookAsync(application, round);
        }

        AssertNoProblems();
    }

    [Fact]
    public async Task Stopped_twice_at_once_with_an_etcd_that_ends_with_it()
    {
        for (var round = 0; round < 5; round++)
        {
            var application = new WholeApplication(etcd: null);
            await application.Host.StartAsync();
            await application.UseAsync();
            var run = RunToEndAsync(application.Host);

            await application.Host.StopAsync().WaitAsync(Limit);
            await run.WaitAsync(Limit);
            await LookAsync(application, round);
        }

        AssertNoProblems();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Disposed_without_a_stop_because_the_start_of_another_service_failed(bool failFast)
    {
        for (var round = 0; round < 5; round++)
        {
            var revision = _etcd.Revision;
            var application = new WholeApplication(
                _etcd, failFast, services => services.AddSingleton<IHostedService>(new FailingService(() => _etcd.Revision > revision)));

            await Assert.ThrowsAsync<IOException>(() => application.Host.StartAsync().WaitAsync(Limit));
            await application.Host.DisposeAsync().AsTask().WaitAsync(Limit);
            await LookAsync(application, round);
        }

        AssertNoProblems();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stopped_while_it_starts(bool failFast)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var application = new WholeApplication(_etcd, failFast);
            var revision = _etcd.Revision;
            var start = EndsAsync(application.Host.StartAsync());
            await AtStartAsync(application, round, start, revision);

            await application.Host.StopAsync().WaitAsync(Limit);
            await start.WaitAsync(Limit);
            await LookAsync(application, round);
            await application.Host.DisposeAsync().AsTask().WaitAsync(Limit);
            await LookAsync(application, round);
        }

        AssertNoProblems();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Disposed_while_it_starts(bool failFast)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var application = new WholeApplication(_etcd, failFast);
            var revision = _etcd.Revision;
            var start = EndsAsync(application.Host.StartAsync());
            await AtStartAsync(application, round, start, revision);

            await application.Host.DisposeAsync().AsTask().WaitAsync(Limit);
            await start.WaitAsync(Limit);
            await LookAsync(application, round);
        }

        AssertNoProblems();
    }

    [Fact]
    public async Task Disposed_while_it_stops_and_stopped_once_more()
    {
        Func<WholeApplication, bool>[] moments =
        [
            static a => a.IsAt(nameof(IHostedLifecycleService.StartedAsync)),
            static a => a.Log.Has("This application drains"),
            static a => a.Log.Has("This application left etcd"),
            static a => a.IsAt(nameof(IHostedLifecycleService.StopAsync)),
            static a => a.IsAt(nameof(IHostedLifecycleService.StoppedAsync)),
        ];
        for (var round = 0; round < Rounds; round++)
        {
            var application = new WholeApplication(_etcd);
            await application.Host.StartAsync();
            if (round % 2 == 0)
            {
                await application.UseAsync();
            }

            var moment = moments[round % moments.Length];
            var services = application.Host.Services.GetServices<IHostedService>()
                .Where(static s => s.GetType().FullName!.StartsWith("Discovery.", StringComparison.Ordinal)).ToList();
            var stop = application.Host.StopAsync();
            await Eventually.IsTrue(() => moment(application) || stop.IsCompleted);
            await application.Host.DisposeAsync().AsTask().WaitAsync(Limit);
            await stop.WaitAsync(Limit);
            foreach (var service in services)
            {
                await service.StopAsync(CancellationToken.None).WaitAsync(Limit);
                if (service is IHostedLifecycleService stages)
                {
                    await stages.StoppingAsync(CancellationToken.None).WaitAsync(Limit);
                    await stages.StoppedAsync(CancellationToken.None).WaitAsync(Limit);
                }
            }

            await LookAsync(application, round);
        }

        AssertNoProblems();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Disposed_after_a_stop_that_was_cut_short_it_leaves_no_key(bool isCutAtOnce)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        builder.Services.AddEtcdRegistration(static o => (o.ServiceName, o.DrainDelay) = ("shop", TimeSpan.FromSeconds(20)));
        var application = builder.Build();
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Registered);

        using var cut = new CancellationTokenSource();
        var stop = Task.Run(() => application.StopAsync(isCutAtOnce ? new CancellationToken(canceled: true) : cut.Token));
        await Eventually.IsTrue(() => registration.Status.State is ServiceRegistrationState.Draining or ServiceRegistrationState.Stopped);
        await cut.CancelAsync();
        await EndsAsync(stop).WaitAsync(Limit);
        await application.DisposeAsync().AsTask().WaitAsync(Limit);

        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint] });
        Assert.Empty((await client.ListAsync("")).Items);
        Assert.Equal(ServiceRegistrationState.Stopped, registration.Status.State);
        Assert.Empty(registration.Status.Keys);
    }

    /// <summary>Clients take a key that vanishes without draining for a crash, and go on calling where it was.</summary>
    [Fact]
    public async Task Stopped_a_moment_before_its_lease_is_granted_it_is_in_service_for_nobody()
    {
        _etcd.Pause();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        builder.Services.AddEtcdRegistration(static o => (o.ServiceName, o.GracefulStop) = ("shop", false));
        await using var application = builder.Build();
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.Keys.Count > 0);
        var revision = _etcd.Revision;
        using var listener = new ActivityListener
        {
            ShouldListenTo = static s => s.Name == "Discovery.AspNetCore",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStarted = activity =>
            {
                if (activity.OperationName == "discovery.deregister")
                {
                    // The stop has found no lease, and has not ended the wait for it yet.
                    _etcd.Resume();
                    SpinWait.SpinUntil(() => _etcd.Revision > revision, Limit / 2);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);

        await application.StopAsync().WaitAsync(Limit);

        Assert.True(_etcd.Revision > revision);
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint] });
        await using var watch = client.Watch("", revision + 1);
        using var limit = new CancellationTokenSource(Limit);
        await foreach (var update in watch.ReadAllAsync(limit.Token))
        {
            Assert.All(
                update.Events.Where(static e => !e.Deleted),
                static e => Assert.Contains("draining", Encoding.UTF8.GetString(e.Record.Value.Span), StringComparison.Ordinal));
            if (update.Events.Any(static e => e.Deleted))
            {
                break;
            }
        }
    }

    [Fact]
    public async Task Disposed_before_etcd_ever_answered_it_does_not_wait_for_it()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddEtcdClient(static o => o.Endpoints = ["http://127.0.0.1:1"]);
        builder.Services.AddEtcdRegistration(static o => (o.ServiceName, o.StopTimeout, o.GracefulStop) = ("shop", TimeSpan.FromSeconds(20), false));
        builder.Services.Configure<HostOptions>(static o => o.ShutdownTimeout = TimeSpan.FromMinutes(1));
        var application = builder.Build();
        await application.StartAsync();
        await Eventually.IsTrue(() => application.Services.GetRequiredService<IServiceRegistration>().Status.Keys.Count > 0);

        await application.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(15));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Its_services_may_be_disposed_by_who_cannot_await(bool runsEtcd)
    {
        var application = new WholeApplication(runsEtcd ? null : _etcd);
        await application.Host.StartAsync();
        await application.UseAsync();
        await application.Host.StopAsync().WaitAsync(Limit);

        await Task.Run(((IDisposable)application.Host.Services).Dispose).WaitAsync(Limit);
        await LookAsync(application, round: 0);
        AssertNoProblems();
    }

    [Fact]
    public async Task Used_after_its_end_it_says_what_was_disposed_or_does_nothing()
    {
        var application = new WholeApplication(_etcd);
        await application.Host.StartAsync();
        await application.UseAsync();
        var registration = application.Get<IServiceRegistration>();
        var directory = application.Get<IServiceDirectory>();
        var etcd = application.Get<EtcdClient>();
        var invoker = etcd.CreateCallInvoker();
        var channels = application.Get<IEtcdGrpcChannels>();
        using var http = application.Get<IHttpClientFactory>().CreateClient(WholeApplication.Service);
        await application.Host.DisposeAsync();

        await Task.WhenAll(registration.WithdrawAsync(), registration.RestoreAsync(), registration.SetWeightAsync(3)).WaitAsync(Limit);
        Assert.Equal(ServiceRegistrationState.Stopped, registration.Status.State);
        Assert.NotNull(directory.Services);
        await EndsWithAsync<IServiceDirectory>(() => Task.FromResult(directory.GetSnapshot(WholeApplication.Service)));
        await EndsWithAsync<IServiceDirectory>(() => Task.FromResult(directory.GetStatus("other")));
        await EndsWithAsync<IServiceDirectory>(() => directory.WaitForReadyAsync("other").AsTask());
        await EndsWithAsync<IServiceDirectory>(() => directory.SubscribeAsync(WholeApplication.Service).GetAsyncEnumerator().MoveNextAsync().AsTask());
        await EndsWithAsync<IServiceDirectory>(() => directory.ListServicesAsync().AsTask());
        await EndsWithAsync<IServiceDirectory>(() => directory.WatchServicesAsync().GetAsyncEnumerator().MoveNextAsync().AsTask());
        await EndsWithAsync<EtcdClient>(() => etcd.GetAsync("key"));
        await EndsWithAsync<EtcdClient>(() => etcd.ListAsync("key"));
        await EndsWithAsync<EtcdClient>(() => Task.FromResult(etcd.Watch("key", 0)));
        await EndsWithAsync<EtcdClient>(() => etcd.FollowAsync("key").GetAsyncEnumerator().MoveNextAsync().AsTask());
        await EndsWithAsync<EtcdClient>(() => Task.FromResult(etcd.KeepLease(TimeSpan.FromSeconds(5))));
        await EndsWithAsync<EtcdClient>(() => etcd.RenewLeaseAsync(5));
        await EndsWithAsync<EtcdClient>(() => invoker.AsyncUnaryCall(AnyMethod, null, default, []).ResponseAsync);
        await EndsWithAsync<EtcdClient>(() => invoker.AsyncUnaryCall(AnyMethod, null, default, []).ResponseHeadersAsync);
        await EndsWithAsync<IEtcdGrpcChannels>(() => Task.FromResult(channels.GetChannel("other")));
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(new Uri("http://shop/")).WaitAsync(Limit));
    }

    private static async Task EndsWithAsync<T>(Func<Task> use)
    {
        var failure = await Assert.ThrowsAsync<ObjectDisposedException>(() => use().WaitAsync(Limit));
        Assert.Equal(typeof(T).FullName, failure.ObjectName);
    }

    /// <summary>What RunAsync does once the host was started: waits for its end, stops it and disposes it.</summary>
    private static async Task RunToEndAsync(IHost host)
    {
        try
        {
            await host.WaitForShutdownAsync();
        }
        finally
        {
            await ((IAsyncDisposable)host).DisposeAsync();
        }
    }

    /// <summary>A start that is broken off ends by an exception of the host.</summary>
    private static async Task EndsAsync(Task start)
    {
        try
        {
            await start;
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Told by the host, and the same whatever else it runs.
        }
    }

    /// <param name="application">What starts.</param>
    /// <param name="round">Which decides when.</param>
    /// <param name="start">Its start.</param>
    /// <param name="revision">etcd's revision before the start, which may have put its keys by now.</param>
    private async Task AtStartAsync(WholeApplication application, int round, Task start, long revision)
    {
        Func<bool>[] moments =
        [
            static () => true,
            () => application.IsAt(nameof(IHostedLifecycleService.StartingAsync)),
            () => application.IsAt(nameof(IHostedLifecycleService.StartAsync)),
            () => application.IsAt(nameof(IHostedLifecycleService.StartedAsync)),
            () => application.Started.IsCancellationRequested,
            () => application.IsChecked,
            () => application.Log.Has("is granted for"),
            () => _etcd.Revision > revision,
        ];
        var moment = moments[round % moments.Length];
        var limit = Environment.TickCount64 + 30_000;
        while (!moment() && !(start.IsCompleted && round % moments.Length < 4))
        {
            Assert.True(Environment.TickCount64 < limit, $"round {round}");
            await Task.Yield();
        }
    }

    private static void CollectGarbage()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    private async Task LookAsync(WholeApplication application, int round)
    {
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint] });
        _problems.AddRange((await client.ListAsync("")).Items.Select(r => $"Round {round}: the key {r.Key} is left."));
        _problems.AddRange(application.Log.Severe.Select(line => $"Round {round}: {line}"));
    }

    private void AssertNoProblems()
    {
        CollectGarbage();
        Assert.True(_problems.Count == 0 && _unobserved.IsEmpty, string.Join('\n', _problems.Concat(_unobserved)));
    }

    private void OnUnobserved(object? sender, UnobservedTaskExceptionEventArgs e) => _unobserved.Enqueue($"{e.Exception}");

    /// <summary>Fails once the application is registered.</summary>
    private sealed class FailingService(Func<bool> isRegistered) : IHostedLifecycleService
    {
        public async Task StartedAsync(CancellationToken cancellationToken)
        {
            await Eventually.IsTrue(isRegistered);
            throw new IOException("The disk is full.");
        }

        public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
