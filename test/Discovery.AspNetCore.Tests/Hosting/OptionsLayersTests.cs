using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>What counts where several places set the same: all services, then the service, then the client, and code over configuration.</summary>
public sealed class OptionsLayersTests
{
    private readonly ServiceCollection _services = [];

    public OptionsLayersTests() => _services.AddSingleton<IServiceSource>(new ModelEtcd());

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_order_of_calls_does_not_matter(bool reversed)
    {
        List<Action> calls =
        [
            () => _services.AddEtcdDiscovery(o => (o.Policy, o.Zone, o.SubsetSize) = ("Random", "all", 1)),
            () => _services.Configure<EtcdDiscoveryOptions>("orders", o => (o.Policy, o.Zone) = ("PickFirst", "service")),
            () => _services.AddHttpClient("c").AddEtcdDiscovery("orders", o => o.Policy = "RoundRobin"),
            () => _services.AddHttpClient("plain").AddEtcdDiscovery("orders"),
        ];
        if (reversed)
        {
            calls.Reverse();
        }

        calls.ForEach(call => call());
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal(("RoundRobin", "service", 1), Of(provider, "c"));
        Assert.Equal(("PickFirst", "service", 1), Of(provider, "plain"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task By_whatever_method_code_sets_options_the_layers_are_the_same(bool reversed)
    {
        List<Action> calls =
        [
            () => _services.AddOptions<EtcdDiscoveryOptions>().Configure<Zones>(static (o, zones) => (o.Zone, o.Policy, o.SubsetSize) = (zones.All, "Random", 1)),
            () => _services.AddOptions<EtcdDiscoveryOptions>("orders").Configure<Zones>(static (o, zones) => (o.Zone, o.Policy) = (zones.Orders, "PickFirst")),
            () => _services.AddHttpClient("c").AddEtcdDiscovery("orders", static o => o.Policy = "RoundRobin"),
            () => _services.AddHttpClient("plain").AddEtcdDiscovery("orders"),
            () => _services.AddHttpClient("other").AddEtcdDiscovery("users"),
        ];
        if (reversed)
        {
            calls.Reverse();
        }

        calls.ForEach(call => call());
        await using var provider = _services.AddSingleton(new Zones("all", "service")).BuildServiceProvider();

        Assert.Equal(("RoundRobin", "service", 1), Of(provider, "c"));
        Assert.Equal(("PickFirst", "service", 1), Of(provider, "plain"));
        Assert.Equal(("Random", "all", 1), Of(provider, "other"));
    }

    [Fact]
    public async Task A_section_that_code_binds_holds_for_all_services()
    {
        _services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            [new("Mine:Zone", "mine"), new("Mine:Policy", "Random"), new("Etcd:Discovery:Zone", "file"), new("Orders:Policy", "PickFirst")]).Build());
        _services.AddHttpClient("c").AddEtcdDiscovery("orders", static o => o.SubsetSize = 3);
        _services.AddOptions<EtcdDiscoveryOptions>("orders").BindConfiguration("Orders");
        _services.AddOptions<EtcdDiscoveryOptions>().BindConfiguration("Mine");
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal(("PickFirst", "mine", 3), Of(provider, "c"));
    }

    [Fact]
    public async Task What_code_sets_last_has_the_same_layers()
    {
        _services.AddOptions<EtcdDiscoveryOptions>("orders").PostConfigure<Zones>(static (o, zones) => o.Zone = zones.Orders);
        _services.PostConfigure<EtcdDiscoveryOptions>("orders", static o => o.Policy = "PickFirst");
        _services.AddHttpClient("c").AddEtcdDiscovery("orders", static o => (o.Zone, o.Policy) = ("client", "RoundRobin"));
        _services.AddHttpClient("other").AddEtcdDiscovery("users");
        _services.PostConfigure<EtcdDiscoveryOptions>(static o => (o.Policy, o.SubsetSize) = ("Random", 4));
        _services.AddOptions<EtcdDiscoveryOptions>().PostConfigure<Zones>(static (o, zones) => o.Zone = zones.All);
        await using var provider = _services.AddSingleton(new Zones("all", "service")).BuildServiceProvider();

        Assert.Equal(("PickFirst", "service", 4), Of(provider, "c"));
        Assert.Equal(("Random", "all", 4), Of(provider, "other"));
    }

    [Fact]
    public async Task What_is_set_for_all_names_and_what_types_of_the_application_set_runs_once()
    {
        _services.ConfigureAll<EtcdDiscoveryOptions>(static o => o.Select.Tags.Add("1"));
        _services.PostConfigureAll<EtcdDiscoveryOptions>(static o => o.Select.Tags.Add("2"));
        _services.ConfigureOptions<OwnSetup>();
        _services.AddHttpClient("c").AddEtcdDiscovery("orders", static o => o.SubsetSize = 3);
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal(["1", "c@orders", "2", "last"], provider.GetRequiredService<PoolCache>().OfClient("c").Options.Select.Tags);
    }

    [Fact]
    public void Services_share_what_they_have_in_common_but_nothing_that_can_be_changed()
    {
        var settings = new Dictionary<string, string?>
        {
            ["Policy"] = "Random", ["Zone"] = "z", ["ZoneSpillOver:MinInstances"] = "7", ["Ejection:ConsecutiveFailures"] = "9", ["SlowStart"] = "00:00:33",
            ["SubsetSize"] = "5", ["ClientId"] = "c-1", ["HashBound"] = "2.5", ["Layout"] = "Kitex", ["Cluster"] = "", ["Select:Version"] = "v", ["Select:Tags"] = "t",
            ["Select:Metadata:m"] = "n", ["Split:v2"] = "5", ["Scheme"] = "https", ["ReadyTimeout"] = "00:00:06", ["ConnectTimeout"] = "00:00:03",
            ["MaxConnectAttempts"] = "4", ["RetryBudgetPercent"] = "6", ["AllowOtherHosts"] = "true", ["RelistInterval"] = "00:06:00", ["HoldDuration"] = "00:07:00",
            ["SnapshotDirectory"] = "/tmp/x", ["AllowedNetworks"] = "10.0.0.0/8", ["AllowLoopback"] = "true", ["AllowedPorts"] = "5000", ["TlsTargetHost"] = "endpoint",
            ["Instances"] = "10.0.0.1:1",
        };
        var bound = new EtcdDiscoveryOptions();
        new ConfigurationBuilder().AddInMemoryCollection(settings).Build().Bind(bound);
        (bound.AllowedNetworks, bound.AllowedPorts, bound.Instances, bound.Select.Tags) = (["10.0.0.0/8"], ["5000"], ["10.0.0.1:1"], ["t"]);
        bound.Cluster = "dc2";
        var copy = new EtcdDiscoveryOptions();

        copy.CopyFrom(bound);

        AssertCopied(bound, copy, new EtcdDiscoveryOptions());
    }

    [Fact]
    public async Task A_service_without_settings_of_its_own_follows_a_reload_of_the_general_ones()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Discovery:Zone", "before")]).Build();
        _services.AddSingleton<IConfiguration>(configuration);
        _services.AddEtcdDiscovery();
        await using var provider = _services.BuildServiceProvider();
        var options = provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
        Assert.Equal("before", options.Get("first").Zone);
        options.Get("first").AllowedPorts.Add("1");

        (configuration["Etcd:Discovery:Zone"], configuration["Etcd:Discovery:Services:third:Zone"]) = ("after", "own");
        configuration.Reload();

        Assert.Equal(("after", "own"), (options.Get("second").Zone, options.Get("third").Zone));
        Assert.Empty(options.Get("second").AllowedPorts);
    }

    [Fact]
    public async Task Options_of_a_service_hold_for_a_client_whose_transport_is_its_own()
    {
        _services.Configure<EtcdDiscoveryOptions>("orders", o => o.Policy = "Random");
        _services.AddHttpClient("c").AddEtcdDiscovery("orders").ConfigureEtcdTransport(_ => { });
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal("Random", Of(provider, "c").Policy);
    }

    [Fact]
    public async Task What_code_sets_wins_over_the_configuration_also_when_it_came_first()
    {
        _services.Configure<EtcdClientOptions>(o => o.Endpoints = ["http://code:1"]);
        _services.Configure<EtcdRegistrationOptions>(o => (o.ServiceName, o.Zone) = ("code", "code"));
        _services.Configure<EtcdDiscoveryOptions>(o => o.Zone = "code");
        _services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
        [
            new("Etcd:Endpoints", "http://file:1"), new("Etcd:Registration:Zone", "file"), new("Etcd:Discovery:Zone", "file"),
            new("Etcd:Discovery:Services:orders:SubsetSize", "7"),
        ]).Build());
        _services.AddEtcdRegistration().AddEtcdDiscovery().AddHttpClient("c").AddEtcdDiscovery("orders");
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal(["http://code:1"], provider.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
        Assert.Equal("code", provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Zone);
        Assert.Equal((BalancingPolicies.LeastLoad, "code", 7), Of(provider, "c"));
    }

    [Fact]
    public async Task Code_alone_sets_the_endpoints()
    {
        _services.Configure<EtcdClientOptions>(o => o.Endpoints = ["http://code:1"]);
        _services.AddEtcdClient();
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal(["http://code:1"], provider.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
    }

    [Fact]
    public async Task A_changed_configuration_is_followed_and_a_wrong_one_is_not()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Discovery:Policy", "Random")]).Build();
        using var log = new LogRecorder();
        _services.AddLogging(l => l.AddProvider(log)).AddSingleton<IConfiguration>(configuration);
        _services.AddHttpClient("c").AddEtcdDiscovery("orders", o => o.SubsetSize = 3);
        await using var provider = _services.BuildServiceProvider();
        await provider.GetServices<IHostedService>().OfType<PoolWarmup>().Single().StartAsync(CancellationToken.None);
        var pool = provider.GetRequiredService<PoolCache>().OfClient("c");

        configuration["Etcd:Discovery:Services:orders:Policy"] = "RoundRobin";
        configuration["Etcd:Discovery:Ejection:ConsecutiveFailures"] = "9";
        configuration["Etcd:Discovery:SubsetSize"] = "4";
        configuration.Reload();
        Assert.Equal(("RoundRobin", 9, 3), (pool.Options.Policy, pool.Options.Ejection.ConsecutiveFailures, pool.Options.SubsetSize));

        configuration["Etcd:Discovery:Services:orders:Policy"] = "Roundest";
        configuration.Reload();
        Assert.Equal("RoundRobin", pool.Options.Policy);
        configuration.Reload();
        Assert.Contains("Roundest", NotUsed().Single(), StringComparison.Ordinal);

        // What is said once is said again when it was valid meanwhile.
        configuration["Etcd:Discovery:Services:orders:Policy"] = "Random";
        configuration.Reload();
        configuration["Etcd:Discovery:Services:orders:Policy"] = "Roundest";
        configuration.Reload();
        Assert.Equal(2, NotUsed().Count());

        IEnumerable<string> NotUsed()
            => log.At(LogLevel.Error).Where(static l => l.Contains("The changed discovery settings of service 'orders' are not used", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_service_that_is_first_called_after_a_change_goes_by_what_is_valid_then()
    {
        const string Orders = "Etcd:Discovery:Services:orders";
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
        [
            new($"{Orders}:Select:Version", "v1"), new($"{Orders}:AllowedNetworks", "10.0.0.0/8"), new($"{Orders}:Policy", "Random"),
            new($"{Orders}:Scheme", "http"), new("Etcd:Discovery:Services:users:Policy", "Random"),
        ]).Build();
        using var log = new LogRecorder();
        _services.AddLogging(l => l.AddProvider(log)).AddSingleton<IConfiguration>(configuration);
        _services.AddEtcdDiscovery();
        await using var provider = _services.BuildServiceProvider();
        foreach (var service in provider.GetServices<IHostedService>())
        {
            await service.StartAsync(CancellationToken.None);
        }

        (configuration[$"{Orders}:Select:Version"], configuration[$"{Orders}:AllowedNetworks"], configuration[$"{Orders}:Policy"]) = ("v2", "10.1.0.0/16", "PickFirst");
        (configuration[$"{Orders}:Scheme"], configuration["Etcd:Discovery:Services:users:Policy"]) = ("https", "Roundest");
        configuration.Reload();
        var pools = provider.GetRequiredService<PoolCache>();
        var orders = pools.OfService("orders").Options;

        Assert.Equal(("v2", "10.1.0.0/16", "PickFirst"), (orders.Select.Version, Assert.Single(orders.AllowedNetworks), orders.Policy));
        Assert.Equal("http", orders.Scheme);
        Assert.True(log.Has(LogLevel.Warning, "Etcd:Discovery:Scheme was changed for service 'orders'; that has no effect before the next start."));
        Assert.Equal("Random", pools.OfService("users").Options.Policy);
        Assert.True(log.Has(LogLevel.Error, "The changed discovery settings of service 'users' are not used", "Roundest"));
    }

    [Theory]
    [InlineData("Etcd:Discovery:ReadyTimeout")]
    [InlineData("Etcd:Discovery:Services:orders:ReadyTimeout")]
    public async Task The_directory_waits_as_long_as_the_settings_now_say(string setting)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new(setting, "01:00:00")]).Build();
        _services.AddSingleton<IConfiguration>(configuration);
        _services.AddSingleton<IServiceSource>(new ModelEtcd { IsDown = true });
        _services.AddEtcdDiscovery();
        await using var provider = _services.BuildServiceProvider();
        await provider.GetServices<IHostedService>().OfType<UnknownSettings>().Single().StartAsync(CancellationToken.None);
        var directory = provider.GetRequiredService<IServiceDirectory>();
        _ = directory.GetSnapshot("orders");

        configuration[setting] = "00:00:00.05";
        configuration.Reload();

        await Assert.ThrowsAsync<ServiceDiscoveryException>(() => directory.WaitForReadyAsync("orders").AsTask().WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_changed_scheme_is_said_once_to_need_a_restart()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Discovery:Scheme", "http")]).Build();
        using var log = new LogRecorder();
        _services.AddLogging(l => l.AddProvider(log)).AddSingleton<IConfiguration>(configuration);
        _services.AddHttpClient("c").AddEtcdDiscovery("orders");
        await using var provider = _services.BuildServiceProvider();
        await provider.GetServices<IHostedService>().OfType<PoolWarmup>().Single().StartAsync(CancellationToken.None);
        var pool = provider.GetRequiredService<PoolCache>().OfClient("c");

        configuration["Etcd:Discovery:Scheme"] = "https";
        configuration["Etcd:Discovery:RetryBudgetPercent"] = "10";
        configuration.Reload();
        configuration.Reload();

        Assert.Equal("http", pool.Options.Scheme);
        Assert.NotNull(pool.Retries);
        Assert.Single(log.Lines, static l => l.Contains("Etcd:Discovery:Scheme was changed for service 'orders'", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, static l => l.Contains("RetryBudgetPercent was changed", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("helloworld.Greeter")]
    [InlineData("a:b")]
    [InlineData("a:b:c")]
    [InlineData("User")]
    public async Task Settings_of_a_service_are_found_by_its_name_whatever_that_is(string service)
    {
        using var log = new LogRecorder();
        _services.AddLogging(l => l.AddProvider(log)).AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection([new($"Etcd:Discovery:Services:{service}:Policy", "Random")])
            .AddInMemoryCollection([new($"ETCD:DISCOVERY:SERVICES:{service.ToUpperInvariant()}:SUBSETSIZE", "7")])
            .Build());
        _services.AddHttpClient("c").AddEtcdDiscovery(service);
        await using var provider = _services.BuildServiceProvider();
        await provider.GetServices<IHostedService>().OfType<UnknownSettings>().Single().StartAsync(CancellationToken.None);

        Assert.Equal(("Random", null, 7), Of(provider, "c"));
        Assert.Empty(log.Lines);
    }

    [Fact]
    public async Task Settings_of_one_service_are_not_those_of_another_that_differs_by_case()
    {
        _services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Discovery:Services:User:Policy", "Random")]).Build());
        _services.AddHttpClient("upper").AddEtcdDiscovery("User");
        _services.AddHttpClient("lower").AddEtcdDiscovery("user");
        await using var provider = _services.BuildServiceProvider();

        Assert.Equal("Random", Of(provider, "upper").Policy);
        Assert.Equal(BalancingPolicies.LeastLoad, Of(provider, "lower").Policy);
    }

    [Fact]
    public async Task Registered_services_may_have_colons_and_keep_their_case()
    {
        _services.AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection(
            [
                new("Etcd:Registration:Services:helloworld.Greeter:Weight", "3"),
                new("Etcd:Registration:Services:a:b:Weight", "4"),
                new("Etcd:Registration:Services:a:b:Endpoints", "Grpc"),
                new("Etcd:Registration:Services:User:Weight", "5"),
                new("Etcd:Registration:Services:pkg:Cart:Version", "1"),
            ])
            .AddInMemoryCollection([new("ETCD:REGISTRATION:SERVICES:USER:WEIGHT", "6"), new("ETCD:REGISTRATION:SERVICES:PKG:CART:WEIGHT", "7")])
            .Build());
        _services.AddEtcdRegistration();
        await using var provider = _services.BuildServiceProvider();

        var services = provider.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>().CurrentValue.Services;

        Assert.Equal(["User", "a:b", "helloworld.Greeter", "pkg:Cart"], services.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("1", 7), (services["pkg:Cart"].Version, services["pkg:Cart"].Weight));
        Assert.Equal((6, 4, 3), (services["User"].Weight, services["a:b"].Weight, services["helloworld.Greeter"].Weight));
        Assert.Equal(["Grpc"], services["a:b"].Endpoints);
    }

    private static (string Policy, string? Zone, int SubsetSize) Of(ServiceProvider provider, string client)
    {
        var options = provider.GetRequiredService<PoolCache>().OfClient(client).Options;
        return (options.Policy, options.Zone, options.SubsetSize);
    }

    /// <summary>Each property has another value than by default, and what it holds is another object.</summary>
    private static void AssertCopied(object original, object copy, object defaults)
    {
        foreach (var property in original.GetType().GetProperties().Where(static p => p.CanWrite))
        {
            var (value, copied, standard) = (property.GetValue(original)!, property.GetValue(copy)!, property.GetValue(defaults));
            if (property.PropertyType.Namespace == typeof(EtcdDiscoveryOptions).Namespace)
            {
                Assert.NotSame(value, copied);
                Assert.Equivalent(value, copied, strict: true);
                Assert.ThrowsAny<Exception>(() => Assert.Equivalent(value, standard, strict: true));
                continue;
            }

            Assert.True(!Equals(value, standard), property.Name);
            Assert.Equal(value, copied);
            Assert.True(value is string or ValueType || property.Name == nameof(EtcdDiscoveryOptions.Layouts) || !ReferenceEquals(value, copied), property.Name);
        }
    }

    private sealed record Zones(string All, string Orders);

    private sealed class OwnSetup : IConfigureNamedOptions<EtcdDiscoveryOptions>, IPostConfigureOptions<EtcdDiscoveryOptions>
    {
        public void Configure(EtcdDiscoveryOptions options) => Configure("", options);

        public void Configure(string? name, EtcdDiscoveryOptions options)
        {
            if (!string.IsNullOrEmpty(name))
            {
                options.Select.Tags.Add(name);
            }
        }

        public void PostConfigure(string? name, EtcdDiscoveryOptions options) => options.Select.Tags.Add("last");
    }
}
