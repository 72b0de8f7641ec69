using Discovery.AspNetCore.Diagnostics;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Clusters;

/// <summary>The settings of clusters beside the default one, and what is wrong with them.</summary>
public sealed class ClusterSettingsTests : IDisposable
{
    private readonly LogRecorder _log = new();

    public static TheoryData<string, string, string> Wrong => new()
    {
        { "Etcd:Clusters:dc2:Endpoints", "", "Etcd:Clusters:dc2:Endpoints is empty" },
        { "Etcd:Clusters:dc2:Endpoints", "http://root:x@a:1", "set Etcd:Clusters:dc2:Username and Etcd:Clusters:dc2:Password" },
        { "Etcd:Clusters:dc2:RequestTimeout", "0", "Etcd:Clusters:dc2:RequestTimeout is '00:00:00'" },
        { "Etcd:Clusters:dc2:Tls:CaFile", "/none", "Etcd:Clusters:dc2:Tls:CaFile is '/none'" },
        { "Etcd:Clusters:dc2:Username", "root", "Etcd:Clusters:dc2:Password is not set, but Etcd:Clusters:dc2:Username is 'root'" },
        { "Etcd:Clusters:dc2:Endpoints:url", "http://a:1", "Etcd:Clusters:dc2:Endpoints:url 'http://a:1' is no entry of a list" },
        { "Etcd:Clusters:dc2:Registration:Weight", "-1", "for cluster 'dc2', where Etcd:Clusters:dc2:Registration counts too" },
        { "Etcd:Discovery:Cluster", "dc3", "Etcd:Discovery:Cluster is 'dc3', but the application has 'dc2'" },
        { "Etcd:Discovery:Services:orders:Cluster", "dc3", "Etcd:Discovery:Services:orders:Cluster is 'dc3', but the application has 'dc2'" },
        { "Etcd:Discovery:Services:Other:Cluster", "dc3", "Etcd:Discovery:Services:Other:Cluster is 'dc3', but the application has 'dc2'" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task What_is_wrong_stops_the_start_with_the_whole_path(string setting, string value, string expected)
    {
        var error = await Assert.ThrowsAnyAsync<Exception>(() => StartAsync((setting, value)));

        Assert.Contains(expected, error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Etcd:Clusters:dc2:Endpoint", "Did you mean 'Endpoints'?")]
    [InlineData("Etcd:Clusters:dc2:Registration:Zoen", "Did you mean 'Zone'?")]
    [InlineData("Etcd:Clusters:dc3:Endpoints", "which the application does not have")]
    public async Task A_setting_that_nobody_reads_is_warned_of(string setting, string expected)
    {
        using var host = await StartAsync((setting, "x"));

        Assert.Contains(expected, Assert.Single(_log.At(LogLevel.Warning), l => l.Contains("The setting", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "", false)]
    [InlineData("Etcd:Clusters:dc2:Registration:Enabled", "true", true)]
    [InlineData("Etcd:Discovery:Cluster", "DC2", true)]
    [InlineData("Etcd:Discovery:Services:orders:Cluster", "dc2", true)]
    [InlineData("Etcd:Discovery:Services:pkg:Other:Cluster", "dc2", true)]
    public async Task A_registration_in_a_cluster_that_is_switched_off_needs_no_endpoints_unless_services_are_looked_up_there(
        string setting, string value, bool areNeeded)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Endpoints", "http://127.0.0.1:9"),
            new("Etcd:Registration:ServiceName", "greeter"),
            new("Etcd:Clusters:dc2:Registration:Enabled", "false"),
        ]);
        builder.Configuration.AddInMemoryCollection([new(setting, value)]);
        builder.Services.AddKeyedEtcdRegistration("dc2").AddHttpClient("orders").AddEtcdDiscovery();
        using var host = builder.Build();
        if (areNeeded)
        {
            var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
            Assert.Contains("Etcd:Clusters:dc2:Endpoints is empty", error.Message, StringComparison.Ordinal);
            return;
        }

        await host.StartAsync();
        var registration = host.Services.GetRequiredKeyedService<IServiceRegistration>("dc2");
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Disabled);
        await host.StopAsync();
    }

    [Fact]
    public void A_client_that_was_asked_for_needs_endpoints_whatever_the_registration_does()
    {
        using var services = Build(
            static s => s.AddKeyedEtcdClient("dc2").AddKeyedEtcdRegistration("dc2"),
            ("Etcd:Registration:ServiceName", "greeter"), ("Etcd:Registration:Enabled", "false"));

        Assert.Throws<OptionsValidationException>(() => services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get("dc2"));
    }

    [Fact]
    public async Task An_application_whose_services_are_all_elsewhere_needs_no_default_cluster()
    {
        using var host = await StartAsync(("Etcd:Discovery:Cluster", "DC2"), ("Etcd:Clusters:dc2:Registration:Zone", "b"));

        Assert.DoesNotContain(_log.At(LogLevel.Warning), static l => l.Contains("The setting", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_cluster_inherits_nothing_and_has_a_section_and_a_connection_string_of_its_own()
    {
        await using var services = Build(
            s => s.AddKeyedEtcdClient("dc2").AddKeyedEtcdClient("dc3", o => o.Username = "code"),
            ("Etcd:Endpoints", "http://a:1"), ("Etcd:Username", "root"), ("Etcd:Password", "x"), ("Etcd:RequestTimeout", "00:00:09"),
            ("Etcd:Clusters:dc2:Endpoints", "http://b:1"), ("ConnectionStrings:etcd", "http://wrong:1"), ("ConnectionStrings:dc3", "http://c:1,http://c:2"),
            ("Etcd:Clusters:dc3:Username", "settings"), ("Etcd:Clusters:dc3:Password", "y"));

        var options = services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>();
        Assert.Equal(("http://b:1", null, TimeSpan.FromSeconds(5)), (Assert.Single(options.Get("dc2").Endpoints), options.Get("dc2").Username, options.Get("dc2").RequestTimeout));
        Assert.Equal((2, "code"), (options.Get("dc3").Endpoints.Count, options.Get("dc3").Username));
        Assert.Equal(new Uri("http://b:1"), Assert.Single(services.GetRequiredKeyedService<EtcdClient>("dc2").Endpoints));
        Assert.Equal(new Uri("http://a:1"), Assert.Single(services.GetRequiredService<EtcdClient>().Endpoints));
    }

    [Fact]
    public async Task What_its_client_says_names_the_settings_of_its_own_section()
    {
        await using var services = Build(
            s => s.AddKeyedEtcdClient("dc2").AddLogging(l => l.AddProvider(_log)),
            ("Etcd:Clusters:dc2:Endpoints", "http://b:1"), ("Etcd:Clusters:dc2:Username", "shop"), ("Etcd:Clusters:dc2:Password", "x"));

        _ = services.GetRequiredKeyedService<EtcdClient>("dc2");

        Assert.Equal(
            "Cluster dc2: Etcd:Clusters:dc2:Username and Etcd:Clusters:dc2:Password go to http://b:1/ unencrypted: use https:// in Etcd:Clusters:dc2:Endpoints.",
            Assert.Single(_log.At(LogLevel.Warning)));
    }

    [Fact]
    public async Task A_registration_begins_with_the_default_one_and_its_section_has_what_differs()
    {
        await using var services = Build(
            s => s.AddKeyedEtcdRegistration("dc2", o => o.Version = "code of dc2")
                .AddEtcdRegistration(o => (o.Version, o.Zone) = ("code", "code"))
                .ConfigureAll<EtcdRegistrationOptions>(o => o.Tags.Add("all")),
            ("Etcd:Registration:ServiceName", "greeter"), ("Etcd:Registration:Weight", "5"), ("Etcd:Registration:Metadata:team", "a"),
            ("Etcd:Registration:AdvertisedUrls", "http://a:1"),
            ("Etcd:Clusters:dc2:Registration:Weight", "7"), ("Etcd:Clusters:dc2:Registration:AdvertisedUrls", "http://b:1"),
            ("Etcd:Clusters:dc2:Registration:Metadata:room", "b"), ("Etcd:Clusters:dc2:Registration:Layout", "OpenIm"));

        var ofDefault = services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
        Assert.Equal(("greeter", 5, "code", "code", "EtcdNaming"), (ofDefault.ServiceName, ofDefault.Weight, ofDefault.Version, ofDefault.Zone, ofDefault.Layout));
        Assert.Equal(["http://a:1"], ofDefault.AdvertisedUrls);
        var named = services.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>().Get("dc2");
        Assert.Equal(("greeter", 7, "code of dc2", "code", "OpenIm"), (named.ServiceName, named.Weight, named.Version, named.Zone, named.Layout));
        Assert.Equal(["http://b:1"], named.AdvertisedUrls);
        Assert.Equal(["all"], named.Tags);
        Assert.Equal(["room", "team"], named.Metadata.Keys.Order());
    }

    [Fact]
    public async Task A_registration_begins_with_the_default_one_by_whatever_method_code_sets_it()
    {
        await using var services = Build(
            s => s.AddKeyedEtcdRegistration("dc2")
                .AddOptions<EtcdRegistrationOptions>("dc2").Configure<IConfiguration>(static (o, _) => o.Version = "of dc2")
                    .PostConfigure<IConfiguration>(static (o, _) => o.Tags.Add("last of dc2")).Services
                .AddEtcdRegistration()
                .AddOptions<EtcdRegistrationOptions>().BindConfiguration("Mine").Configure<IConfiguration>(static (o, _) => (o.Version, o.Zone) = ("all", "all"))
                    .PostConfigure<IConfiguration>(static (o, _) => o.Tags.Add("last")),
            ("Etcd:Registration:ServiceName", "greeter"), ("Mine:Weight", "5"));

        var options = services.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>();
        var (ofDefault, named) = (options.CurrentValue, options.Get("dc2"));
        Assert.Equal((5, "all", "all"), (ofDefault.Weight, ofDefault.Version, ofDefault.Zone));
        Assert.Equal(["last"], ofDefault.Tags);
        Assert.Equal((5, "of dc2", "all"), (named.Weight, named.Version, named.Zone));
        Assert.Equal(["last", "last of dc2"], named.Tags);
    }

    [Fact]
    public async Task A_service_of_a_cluster_is_that_of_the_default_registration_in_whatever_case_its_settings_are_written()
    {
        await using var services = Build(
            static s => s.AddKeyedEtcdRegistration("dc2"),
            ("Etcd:Registration:ServiceName", "greeter"), ("Etcd:Registration:Metadata:teamName", "a"),
            ("Etcd:Registration:Services:User:Version", "1"), ("Etcd:Registration:Services:User:Metadata:tierName", "1"),
            ("Etcd:Registration:Endpoints:Web:Metadata:forWhom", "people"),
            ("ETCD:CLUSTERS:DC2:REGISTRATION:METADATA:TEAMNAME", "b"), ("ETCD:CLUSTERS:DC2:REGISTRATION:SERVICES:GREETER:WEIGHT", "7"),
            ("ETCD:CLUSTERS:DC2:REGISTRATION:SERVICES:USER:WEIGHT", "8"), ("ETCD:CLUSTERS:DC2:REGISTRATION:SERVICES:USER:METADATA:TIERNAME", "2"),
            ("ETCD:CLUSTERS:DC2:REGISTRATION:ENDPOINTS:WEB:METADATA:FORWHOM", "machines"), ("Etcd:Clusters:dc2:Registration:Services:Cart:Weight", "9"));

        var options = services.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>().Get("dc2");
        Assert.Equal([("Cart", 9), ("User", 8), ("greeter", 7)], options.Services.Select(static s => (s.Key, Value: s.Value.Weight!.Value)).OrderByDescending(static s => s.Value));
        var user = options.Services["User"];
        Assert.Equal("1", user.Version);
        Assert.Equal([("teamName", "b"), ("tierName", "2"), ("forWhom", "machines")], new[] { options.Metadata, user.Metadata, options.Endpoints["Web"].Metadata }
            .Select(static m => Assert.Single(m)).Select(static m => (m.Key, m.Value)));
    }

    [Fact]
    public async Task What_a_cluster_sets_of_a_service_with_a_colon_leaves_its_other_settings_and_other_services_as_they_are()
    {
        await using var services = Build(
            static s => s.AddKeyedEtcdRegistration("dc2"),
            ("Etcd:Registration:Services:shop:Version", "1"),
            ("Etcd:Registration:Services:pkg:Cart:Version", "2"), ("Etcd:Registration:Services:pkg:Cart:Endpoints:0", "Grpc"),
            ("Etcd:Clusters:dc2:Registration:Services:PKG:CART:Weight", "7"),
            ("Etcd:Clusters:dc2:Registration:Services:shop:eu:Weight", "8"));

        var registered = services.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>().Get("dc2").Services;
        Assert.Equal(["pkg:Cart", "shop", "shop:eu"], registered.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("2", 7, "Grpc"), (registered["pkg:Cart"].Version, registered["pkg:Cart"].Weight, Assert.Single(registered["pkg:Cart"].Endpoints)));
        Assert.Equal(("1", null, 8), (registered["shop"].Version, registered["shop"].Weight, registered["shop:eu"].Weight));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:b")]
    [InlineData("../dc2")]
    [InlineData(".")]
    [InlineData("dc 2")]
    [InlineData("DC2")]
    public void A_name_that_cannot_be_a_section_or_differs_in_case_alone_is_refused(string name)
    {
        var services = new ServiceCollection().AddKeyedEtcdClient("dc2");

        Assert.Contains($"'{name}'", Assert.Throws<ArgumentException>(() => services.AddKeyedEtcdClient(name)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_health_check_names_its_cluster_and_decides_over_no_registration()
    {
        await using var services = Build(
            s =>
            {
                s.AddEtcdRegistration();
                s.AddHealthChecks().AddEtcdRegistrationCheck().AddKeyedEtcdRegistrationCheck("dc2");
            },
            ("Etcd:Registration:ServiceName", "greeter"), ("Etcd:Endpoints", "http://a:1"), ("Etcd:Clusters:dc2:Endpoints", "http://b:1"));

        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.Equal(["etcd-registration", "etcd-registration-dc2"], report.Entries.Keys.Order());
        var entry = report.Entries["etcd-registration-dc2"];
        Assert.Equal(("dc2", "Registration in cluster dc2: NotStarted."), (entry.Data["cluster"], entry.Description));
        Assert.All(services.GetRequiredService<IOptions<HealthCheckServiceOptions>>().Value.Registrations, static c => Assert.True(RegistrationHealthCheck.Is(c)));
    }

    public void Dispose() => _log.Dispose();

    private static ServiceProvider Build(Action<IServiceCollection> add, params (string Key, string Value)[] settings)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value)).Build());
        services.AddLogging();
        add(services);
        return services.BuildServiceProvider();
    }

    private async Task<IHost> StartAsync(params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Clusters:dc2:Endpoints", "http://127.0.0.1:9"),
            new("Etcd:Registration:ServiceName", "greeter"),
            new("Etcd:Discovery:Services:orders:Cluster", "dc2"),
        ]);
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value));
        builder.Logging.AddProvider(_log);
        builder.Services.AddKeyedEtcdRegistration("dc2").AddHttpClient("orders").AddEtcdDiscovery();
        var host = builder.Build();
        try
        {
            await host.StartAsync();
            return host;
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }
}
