using Discovery.AspNetCore.Tests.Watching;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>Calls go by the directory of the container, so a test decides where they go, and needs no etcd.</summary>
public sealed class ReplacedDirectoryTests : IAsyncLifetime
{
    private readonly FakeDirectory _directory = new();
    private readonly LogRecorder _log = new();
    private BackendServer _one = null!;
    private BackendServer _other = null!;

    public async Task InitializeAsync() => (_one, _other) = (await BackendServer.StartAsync(), await BackendServer.StartAsync());

    public async Task DisposeAsync()
    {
        await _one.DisposeAsync();
        await _other.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Calls_go_where_it_says_and_follow_it(bool isAddedFirst)
    {
        using var host = await StartAsync(s =>
        {
            if (isAddedFirst)
            {
                s.AddSingleton<IServiceDirectory>(_directory);
            }

            s.AddHttpClient("client").AddEtcdDiscovery("svc");
            if (!isAddedFirst)
            {
                s.Replace(ServiceDescriptor.Singleton<IServiceDirectory>(_directory));
            }
        });
        using var client = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync("x"));
        Assert.Equal("The fake has no snapshot.", failure.Message);

        _directory.Publish("svc", _one.Address);
        Assert.Equal(_one.Address, await client.GetStringAsync("x"));

        _directory.Publish("svc", _other.Address);
        await Eventually.IsTrue(async () => await client.GetStringAsync("x") == _other.Address);
    }

    [Fact]
    public async Task A_subscription_that_fails_is_logged_and_calls_go_by_the_last_snapshot()
    {
        _directory.Publish("svc", _one.Address);
        using var host = await StartAsync(s =>
        {
            s.AddSingleton<IServiceDirectory>(new WithoutSubscription(_directory));
            s.AddHttpClient("client").AddEtcdDiscovery("svc");
        });
        using var client = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        Assert.Equal(_one.Address, await client.GetStringAsync("x"));
        await Eventually.IsTrue(() => _log.Has(LogLevel.Error, "The subscription to service 'svc' failed"));
    }

    [Fact]
    public async Task A_subscription_that_fails_once_is_begun_again()
    {
        var time = new ObservedTimeProvider();
        var directory = new WithoutSubscription(_directory);
        _directory.Publish("svc", _one.Address);
        using var host = await StartAsync(s =>
        {
            s.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, time);
            s.AddSingleton<IServiceDirectory>(directory);
            s.AddHttpClient("client").AddEtcdDiscovery("svc");
        });
        using var client = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        Assert.Equal(_one.Address, await client.GetStringAsync("x"));
        await Eventually.IsTrue(() => _log.Has(LogLevel.Error, "The subscription to service 'svc' failed"));
        for (var attempts = directory.Attempts; directory.Attempts < attempts + 3; await Task.Yield())
        {
            time.Advance(TimeSpan.FromSeconds(1));
        }

        // What fails again and again is said once.
        Assert.Single(_log.At(LogLevel.Error));
        directory.IsWhole = true;
        _directory.Publish("svc", _other.Address);

        await Eventually.IsTrue(async () =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return await client.GetStringAsync("x") == _other.Address;
        });
    }

    private async Task<IHost> StartAsync(Action<IServiceCollection> add)
    {
        var host = new HostBuilder().ConfigureServices(s =>
        {
            s.AddLogging(l => l.AddProvider(_log));
            add(s);
        }).Build();
        await host.StartAsync();
        return host;
    }

    private sealed class WithoutSubscription(IServiceDirectory inner) : IServiceDirectory
    {
        private int _attempts;

        public int Attempts => Volatile.Read(ref _attempts);

        public bool IsWhole { get; set; }

        public IReadOnlyCollection<ServiceStatus> Services => inner.Services;

        public ServiceSnapshot? GetSnapshot(string serviceName) => inner.GetSnapshot(serviceName);

        public ServiceStatus GetStatus(string serviceName) => inner.GetStatus(serviceName);

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
            => inner.WaitForReadyAsync(serviceName, cancellationToken);

        public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default)
        {
            Interlocked.Increment(ref _attempts);
            return IsWhole ? inner.SubscribeAsync(serviceName, cancellationToken) : throw new NotSupportedException("no subscriptions");
        }
    }
}
