using System.Text;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class ServiceDirectoryTests : IAsyncDisposable
{
    private readonly ModelEtcd _etcd = new();
    private readonly FakeTimeProvider _clock = new();
    private readonly LogRecorder _log = new();
    private readonly IConfigurationRoot _configuration = new ConfigurationBuilder().AddInMemoryCollection([]).Build();
    private readonly Lazy<ServiceProvider> _services;
    private readonly List<Action<IServiceCollection>> _setups = [];

    public ServiceDirectoryTests() => _services = new Lazy<ServiceProvider>(() =>
    {
        var services = new ServiceCollection();
        services.AddLogging(l => l.AddProvider(_log));
        services.AddSingleton<IConfiguration>(_configuration);
        services.AddSingleton<IServiceSource>(_etcd);
        services.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, _clock);
        services.AddEtcdDiscovery();
        _setups.ForEach(s => s(services));
        return services.BuildServiceProvider();
    });

    private IServiceDirectory Directory => _services.Value.GetRequiredService<IServiceDirectory>();

    [Fact]
    public void To_look_starts_no_watch()
    {
        for (var i = 0; i < 500; i++)
        {
            Assert.Null(Directory.GetSnapshot($"svc{i}"));
            Assert.Equal((false, $"services/svc{i}/"), (Directory.GetStatus($"svc{i}").IsReady, Directory.GetStatus($"svc{i}").Prefix));
        }

        Assert.Throws<ArgumentException>(() => Directory.GetSnapshot("a/b"));
        Assert.Empty(Directory.Services);
        Assert.Equal((0, 0), (_etcd.Lists, _etcd.OpenWatches));
    }

    [Fact]
    public async Task A_service_that_nobody_asks_for_is_no_longer_watched_but_one_with_a_subscription_is()
    {
        await Directory.WaitForReadyAsync("once");
        await using var subscription = Directory.SubscribeAsync("subscribed").GetAsyncEnumerator();
        Assert.True(await subscription.MoveNextAsync());
        await Eventually.IsTrue(() => _etcd.OpenWatches == 2);

        _clock.Advance(ServiceDirectory.IdleTime / 2);
        Assert.NotNull(Directory.GetSnapshot("once"));
        _clock.Advance(ServiceDirectory.IdleTime / 2);
        Assert.Equal(2, Directory.Services.Count);
        _clock.Advance(ServiceDirectory.IdleTime);

        await Eventually.IsTrue(() => _etcd.OpenWatches == 1);
        Assert.Equal("subscribed", Assert.Single(Directory.Services).ServiceName);
        Assert.Null(Directory.GetSnapshot("once"));
        _etcd.Put("services/subscribed/a", Encoding.UTF8.GetBytes("""{"Addr":"10.0.0.1:80"}"""));
        Assert.True(await subscription.MoveNextAsync());
    }

    [Fact]
    public async Task A_service_with_a_client_is_watched_for_good()
    {
        _setups.Add(s => s.AddHttpClient("c").AddEtcdDiscovery("svc"));
        _ = _services.Value.GetRequiredService<PoolCache>().OfClient("c");
        await Eventually.IsTrue(() => _etcd.OpenWatches == 1);

        _clock.Advance(ServiceDirectory.IdleTime * 3);

        Assert.Single(Directory.Services);
    }

    [Fact]
    public void Clients_that_want_one_service_watched_differently_are_told()
    {
        _setups.Add(s => s.AddHttpClient("a").AddEtcdDiscovery("svc", o => o.HoldDuration = TimeSpan.FromMinutes(1)));
        _setups.Add(s => s.AddHttpClient("b").AddEtcdDiscovery("svc", o => o.Policy = "Random"));
        var pools = _services.Value.GetRequiredService<PoolCache>();

        _ = pools.OfClient("a");
        Assert.Empty(_log.At(LogLevel.Warning));
        _ = pools.OfClient("b");

        Assert.Contains("'svc' set HoldDuration differently", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_client_waits_for_as_long_as_its_own_setting_says()
    {
        _etcd.IsDown = true;
        _setups.Add(s => s.AddHttpClient("slow").AddEtcdDiscovery("svc", o => o.ReadyTimeout = TimeSpan.FromSeconds(6)));
        _setups.Add(s => s.AddHttpClient("fast").AddEtcdDiscovery("svc", o => o.ReadyTimeout = TimeSpan.FromSeconds(0.5)));
        var pools = _services.Value.GetRequiredService<PoolCache>();
        var slow = pools.OfClient("slow").WaitForInstanceAsync(CancellationToken.None).AsTask();
        var fast = pools.OfClient("fast").WaitForInstanceAsync(CancellationToken.None).AsTask();

        _clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Contains("within 0.5 s", (await Assert.ThrowsAsync<ServiceDiscoveryException>(() => fast)).Message, StringComparison.Ordinal);
        Assert.False(slow.IsCompleted);

        _clock.Advance(TimeSpan.FromSeconds(5.5));
        Assert.Contains("within 6 s", (await Assert.ThrowsAsync<ServiceDiscoveryException>(() => slow)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_that_were_wrong_at_the_first_use_can_be_mended_without_a_restart()
    {
        _setups.Add(s => s.AddHttpClient("c").AddEtcdDiscovery("svc"));
        _configuration["Etcd:Discovery:Services:svc:Layout"] = "Nacos";
        var pools = _services.Value.GetRequiredService<PoolCache>();
        Assert.Throws<OptionsValidationException>(() => _ = pools.OfClient("c"));

        _configuration["Etcd:Discovery:Services:svc:Layout"] = "EtcdNaming";

        Assert.Equal("svc", pools.OfClient("c").ServiceName);
    }

    public async ValueTask DisposeAsync()
    {
        await _services.Value.DisposeAsync();
        _log.Dispose();
    }
}
