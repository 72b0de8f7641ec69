using System.Text;
using System.Text.Json;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>Settings as people, environments and tests write them.</summary>
public sealed class SettingsTests : IDisposable
{
    private readonly LogRecorder _log = new();

    public static TheoryData<string, string, string> Mistyped => new()
    {
        { "Etcd:Registation:ServiceName", "Etcd:Registation ", "Registration" },
        { "Etcd:Endpoint", "Etcd:Endpoint ", "Endpoints" },
        { "Etcd:Tls:CaFil", "Etcd:Tls:CaFil ", "CaFile" },
        { "Etcd:Registration:TimeToLiv", "Etcd:Registration:TimeToLiv ", "TimeToLive" },
        { "Etcd:Registration:Health:Tags", "Etcd:Registration:Health:Tags ", "Tag" },
        { "Etcd:Registration:Services:orders:Wieght", "Etcd:Registration:Services:orders:Wieght ", "Weight" },
        { "Etcd:Discovery:Polcy", "Etcd:Discovery:Polcy ", "Policy" },
        { "Etcd:Discovery:Services:orders:Ejection:Enable", "Etcd:Discovery:Services:orders:Ejection:Enable ", "Enabled" },
        { "Etcd:Discovery:Services:oders:AllowLoopback", "Etcd:Discovery:Services:oders ", "orders" },
        { "Etcd:Registration:Endpoints:Wbe:Enabled", "Etcd:Registration:Endpoints:Wbe ", "Web" },
        { "Etcd:Registration:Ttl", "Etcd:Registration:Ttl ", "TimeToLive" },
        { "Etcd:Registration:Port", "Etcd:Registration:Port ", "AdvertisedPort" },
        { "Etcd:User", "Etcd:User ", "Username" },
    };

    public static TheoryData<string, string, string> WrongShapes => new()
    {
        { "Etcd:Registration:Metadata:team:name", "a", "Etcd:Registration:Metadata:team has settings of its own, e.g. Etcd:Registration:Metadata:team:name 'a'; it must be one value" },
        { "Etcd:Registration:Health", "true", "Etcd:Registration:Health is 'true'; it is a section with settings of its own, e.g. Etcd:Registration:Health:Enabled" },
        { "Etcd:Registration:Tags:a", "b", "Etcd:Registration:Tags:a 'b' is no entry of a list; Etcd:Registration:Tags must be an array" },
        { "Etcd:Registration:Services:0", "a", "Etcd:Registration:Services is a list, e.g. Etcd:Registration:Services:0 'a'; its settings stand under names" },
        { "Etcd:Registration:TimeToLive:Seconds", "10", "Etcd:Registration:TimeToLive has settings of its own" },
        { "Etcd:RequestTimeout", "5", "Etcd:RequestTimeout is '5', which would be days: write 00:00:05 for 5 s, or 5.00:00:00 where days are meant." },
        { "Etcd:Discovery:ConnectTimeout", "2000", "Etcd:Discovery:ConnectTimeout is '2000', which would be days: write 00:00:02 for 2000 ms, 00:33:20 for 2000 s, or 2000.00:00:00 where" },
        { "Etcd:AttemptTimeout", "250", "Etcd:AttemptTimeout is '250', which would be days: write 00:00:00.25 for 250 ms, 00:04:10 for 250 s, or" },
        { "Etcd:RequestTimeout", "99", "Etcd:RequestTimeout is '99', which would be days: write 00:01:39 for 99 s, or" },
        { "Etcd:RequestTimeout", "90000", "Etcd:RequestTimeout is '90000', which would be days: write 00:01:30 for 90000 ms, or" },
        { "Etcd:Discovery:RelistInterval", "24:00:00", "Etcd:Discovery:RelistInterval is '24:00:00', which would be 24 days: write 1.00:00:00 for 24 hours." },
        { "Etcd:Registration:AdvertisedPort", "", "Etcd:Registration:AdvertisedPort is ''; it must be a whole number, e.g. 10, or be left out." },
        { "Etcd:Registration:AllowLoopback", "", "Etcd:Registration:AllowLoopback is ''; it must be true or false, or be left out." },
        { "Etcd:Registration:TimeToLive", "", "Etcd:Registration:TimeToLive is ''; it must be a time, e.g. 00:00:10, or be left out." },
        { "Etcd:Discovery:Services:orders:SubsetSize", "", "Etcd:Discovery:Services:orders:SubsetSize is ''" },
        { "Etcd:Discovery:Split:v2", "", "Etcd:Discovery:Split:v2 is ''" },
        { "Etcd:Discovery:Services:orders:ReadyTimeout", "1", "Etcd:Discovery:Services:orders:ReadyTimeout is '1', which would be days: write 00:00:01 for 1 s" },
        { "Etcd:Discovery:Ejection:BaseDuration", "-5", "Etcd:Discovery:Ejection:BaseDuration is '-5', which would be days, and less than none; it must be a time, e.g. 00:00:05." },
        { "Etcd:Registration:LeaveDelay", "-1", "Etcd:Registration:LeaveDelay is '-1', which would be days, and less than none; it must be a time, e.g. 00:00:01." },
        { "Etcd:Discovery:Split", "v2", "Etcd:Discovery:Split is 'v2'; its settings stand under names, each a share in percent, e.g. 5: Etcd:Discovery:Split:v2 to 5." },
        { "Etcd:Discovery:Ejection", "off", "Etcd:Discovery:Ejection is 'off'; it is a section with settings of its own, e.g. Etcd:Discovery:Ejection:Enabled" },
        { "Etcd:Discovery:Services:orders:Ejection", "off", "Etcd:Discovery:Services:orders:Ejection is 'off'" },
        { "Etcd:Endpoints:url", "http://a:1", "Etcd:Endpoints:url 'http://a:1' is no entry of a list" },
        { "Etcd:Tls", "none", "Etcd:Tls is 'none'; it is a section" },
        { "Etcd:Registration:Services:shop:orders:Weight", "a", "Etcd:Registration:Services:shop:orders:Weight is 'a'; it must be a whole number, e.g. 10." },
        { "Etcd:Registration:Weight", "much", "Etcd:Registration:Weight is 'much'; it must be a whole number, e.g. 10." },
        { "Etcd:Registration:Enabled", "on", "Etcd:Registration:Enabled is 'on'; it must be true or false." },
        { "Etcd:Registration:TimeToLive", "soon", "Etcd:Registration:TimeToLive is 'soon'; it must be a time, e.g. 00:00:10." },
        { "Etcd:Discovery:Split:v2", "few", "Etcd:Discovery:Split:v2 is 'few'; it must be a share in percent, e.g. 5." },
        { "Etcd:Discovery:Ejection:BaseDuration", "soon", "Etcd:Discovery:Ejection:BaseDuration is 'soon'; it must be a time, e.g. 00:00:05." },
        { "Etcd:Registration:Services:shop:orders:Version:x", "1", "Etcd:Registration:Services:shop:orders:Version has settings of its own" },
    };

    /// <summary>All settings that are one text, but for those of which the code that reads them takes an empty one for none.</summary>
    public static TheoryData<string> Texts
    {
        get
        {
            string[] emptyIsRead = ["Username", "Password", "CaFile", "CertificateFile", "KeyFile", "KeyPassword", "ServerName", "Tag"];
            return new TheoryData<string>(
                [
                    .. Leaves("Etcd", EtcdClientSection.Shape), .. Leaves("Etcd:Registration", KnownSettings.Registration),
                    .. Leaves("Etcd:Discovery:Services:orders", KnownSettings.DiscoveredService),
                ]);

            IEnumerable<string> Leaves(string path, SettingShape shape) => shape.Kind switch
            {
                SettingKind.Value => [path],
                SettingKind.Named when shape.Each!.Kind == SettingKind.Value && path.StartsWith("Etcd:Registration", StringComparison.Ordinal) => [],
                SettingKind.Named => Leaves($"{path}:name", shape.Each!),
                _ => shape.Children.Where(c => !emptyIsRead.Contains(c.Key)).SelectMany(c => Leaves($"{path}:{c.Key}", c.Value)),
            };
        }
    }

    [Theory]
    [MemberData(nameof(Texts))]
    public async Task An_empty_text_is_as_an_unset_one_or_an_error(string setting)
    {
        (string, string)[] before = setting.Contains(":name:", StringComparison.Ordinal) ? [("Etcd:Registration:Services:name:Weight", "5")] : [];
        using var unset = await StartAsync([.. before, ("Etcd:Discovery:Services:orders:SubsetSize", "5")]);
        try
        {
            using var empty = await StartAsync([.. before, ("Etcd:Discovery:Services:orders:SubsetSize", "5"), (setting, "")]);

            Assert.Equal(Shown(unset), Shown(empty));
        }
        catch (OptionsValidationException e)
        {
            Assert.Contains($"{setting} is ", e.Message, StringComparison.Ordinal);
        }

        static string Shown(IHost host) => string.Join(
            '\n',
            JsonSerializer.Serialize(host.Services.GetRequiredService<IOptions<EtcdClientOptions>>().Value),
            JsonSerializer.Serialize(host.Services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value),
            JsonSerializer.Serialize(host.Services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders")));
    }

    [Theory]
    [MemberData(nameof(Mistyped))]
    public async Task A_setting_that_nobody_reads_is_warned_of_once_with_the_nearest_name(string setting, string shown, string meant)
    {
        using var host = await StartAsync((setting, "false"), ("Kestrel:Endpoints:Web:Url", "http://127.0.0.1:0"));

        var warning = Assert.Single(_log.At(LogLevel.Warning), l => l.Contains($"The setting {shown}", StringComparison.Ordinal));
        Assert.EndsWith($"Did you mean '{meant}'?", warning, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Etcd:Discovery:Enabled")]
    [InlineData("Etcd:Discovery:Services:orders:Enabled")]
    public async Task A_name_that_almost_anything_has_is_not_guessed_to_be_of_another_section(string setting)
    {
        using var host = await StartAsync((setting, "false"));

        var warning = Assert.Single(_log.At(LogLevel.Warning), l => l.Contains($"The setting {setting} ", StringComparison.Ordinal));
        Assert.DoesNotContain("Did you mean", warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_is_said_of_settings_that_are_right_or_of_other_libraries()
    {
        using var host = await StartAsync(
            ("Etcd:Discovery:Services:orders:Policy", "Random"),
            ("etcd:discovery:ZONE", "a"),
            ("Etcd:Registration:Metadata:Etcd", "a"),
            ("Etcd:Registration:Services:shard:0:Metadata:anything", "a"),
            ("Etcd:Discovery:Services:shard:0:Policy", "Random"),
            ("Etcd:Registration:Services:greeter:Metadata:anything", "a"),
            ("Etcd:Registration:Endpoints:Web:Metadata:anything", "a"),
            ("Etcd:Tls:CaFile", ""),
            ("EtcdKeys:Endpoint", "a"),
            ("Kestrel:Endpoints:Web:Url", "http://127.0.0.1:0"));

        Assert.DoesNotContain(_log.At(LogLevel.Warning), l => l.Contains("The setting", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_mistyped_name_that_comes_with_a_change_is_warned_of_once()
    {
        using var host = await StartAsync();
        var configuration = (IConfigurationRoot)host.Services.GetRequiredService<IConfiguration>();

        configuration["Etcd:Registration:Wieght"] = "20";
        configuration.Reload();
        configuration.Reload();

        Assert.Single(_log.At(LogLevel.Warning), static l => l.Contains("Etcd:Registration:Wieght is not known", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Etcd:Password", "secret")]
    [InlineData("Etcd:Endpoints:0", "http://127.0.0.1:10")]
    [InlineData("Etcd:Endpoints:1", "http://127.0.0.1:10")]
    [InlineData("Etcd:Tls:CaFile", "/ca.crt")]
    [InlineData("Etcd:RequestTimeout", "00:00:06")]
    [InlineData("Etcd:Registration:FailFast", "true")]
    public async Task A_changed_setting_that_needs_a_restart_is_told_without_its_value(string setting, string value)
    {
        using var host = await StartAsync();
        var configuration = (IConfigurationRoot)host.Services.GetRequiredService<IConfiguration>();

        configuration["Etcd:Registration:Weight"] = "20";
        configuration.Reload();
        Assert.DoesNotContain(_log.At(LogLevel.Warning), static l => l.Contains("next start", StringComparison.Ordinal));

        configuration[setting] = value;
        configuration.Reload();

        var name = setting.Split(":0")[0].Split(":1")[0];
        await Eventually.IsTrue(() => _log.At(LogLevel.Warning).Any(l => l.Contains($"{name} was changed; that has no effect before the next start", StringComparison.Ordinal)));
        Assert.DoesNotContain(_log.At(LogLevel.Warning), l => l.Contains(value, StringComparison.Ordinal) && l.Contains("next start", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_setting_that_is_changed_back_is_not_told_again()
    {
        using var host = await StartAsync();
        var configuration = (IConfigurationRoot)host.Services.GetRequiredService<IConfiguration>();

        foreach (var password in new[] { "secret", null })
        {
            configuration["Etcd:Password"] = password;
            configuration.Reload();
            configuration.Reload();
        }

        Assert.Single(_log.At(LogLevel.Warning), static l => l.Contains("Etcd:Password was changed", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Settings_of_a_registration_that_was_never_added_are_told(bool isAdded)
    {
        using var host = Host.CreateEmptyApplicationBuilder(null).Use(b =>
        {
            b.Configuration.AddInMemoryCollection([new("Etcd:Endpoints:0", "http://127.0.0.1:9"), new("Etcd:Registration:ServiceName", "greeter")]);
            b.Logging.AddProvider(_log);
            b.Services.AddHttpClient("orders").AddEtcdDiscovery();
            if (isAdded)
            {
                b.Services.AddEtcdRegistration();
            }
        });

        await host.StartAsync();

        Assert.Equal(isAdded ? 0 : 1, _log.At(LogLevel.Information).Count(static l => l.Contains("AddEtcdRegistration()", StringComparison.Ordinal)));
    }

    [Theory]
    [MemberData(nameof(WrongShapes))]
    public async Task A_setting_of_another_shape_stops_the_start_and_is_named_with_a_valid_value(string setting, string value, string expected)
    {
        var e = await Assert.ThrowsAnyAsync<Exception>(() => StartAsync((setting, value)));

        Assert.Contains(expected, e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_text_beside_an_array_is_nothing()
    {
        using var services = Build(
            [("Etcd:Endpoints", ""), ("Etcd:Endpoints:0", "http://a:1"), ("Etcd:Registration:Tags", ""), ("Etcd:Registration:Tags:0", "x"),
            ("Etcd:Discovery:AllowedPorts", ""), ("Etcd:Discovery:AllowedPorts:0", "80")]);

        Assert.Equal(["http://a:1"], services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
        Assert.Equal(["x"], services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Tags);
        Assert.Equal(["80"], services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders").AllowedPorts);
    }

    [Fact]
    public void A_text_replaces_the_array_of_another_source()
    {
        using var services = Build([("Etcd:Endpoints:0", "http://a:1"), ("Etcd:Endpoints:1", "http://b:1")], [("Etcd:Endpoints", "http://c:1")]);

        Assert.Equal(["http://c:1"], services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    public void An_empty_text_empties_the_array_of_an_earlier_source(string? text)
    {
        string[] lists = ["Etcd:Endpoints", "Etcd:Registration:Tags", "Etcd:Discovery:Services:orders:Select:Tags"];
        using var services = Build([.. lists.Select(static l => ($"{l}:0", "80"))], [.. lists.Select(l => (l, text!)), ("ConnectionStrings:etcd", "http://b:1")]);

        Assert.Equal(["http://b:1"], services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
        Assert.Empty(services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Tags);
        Assert.Empty(services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders").Select.Tags);
    }

    [Theory]
    [InlineData("AllowedNetworks:0", "10.0.0.0/8", "AllowedNetworks", "0.0.0.0/0, ::/0")]
    [InlineData("AllowedNetworks", "10.0.0.0/8", "AllowedNetworks", "0.0.0.0/0, ::/0")]
    [InlineData("AllowedPorts:0", "8080", "AllowedPorts", "1-65535")]
    public void An_empty_variable_does_not_allow_everything(string key, string value, string list, string everything)
    {
        using var services = Build([($"Etcd:Discovery:{key}", value)], [($"Etcd:Discovery:{list}", "")]);

        var e = Assert.Throws<OptionsValidationException>(() => services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders"));
        Assert.Equal(
            $"Etcd:Discovery:{list} is '' in a later source than the one that has entries. An empty variable of the environment must not allow everything: "
            + $"remove it, or set {everything} to do so.",
            e.Message);
    }

    [Fact]
    public void An_array_replaces_the_text_of_an_earlier_source()
    {
        string[] lists =
        [
            "Etcd:Endpoints", "Etcd:Registration:AdvertisedUrls", "Etcd:Registration:PreferredNetworks", "Etcd:Registration:Tags",
            "Etcd:Registration:Services:orders:Endpoints", "Etcd:Registration:Services:orders:Tags", "Etcd:Discovery:AllowedNetworks",
            "Etcd:Discovery:AllowedPorts", "Etcd:Discovery:Services:orders:Instances", "Etcd:Discovery:Services:orders:Select:Tags",
        ];

        // Of each text, and of an array before it, nothing is left; an array after it is read as .NET overlays it.
        using var services = Build(
            [.. lists.SelectMany(static l => new[] { ($"{l}:0", ValidIn(l, 1)), ($"{l}:2", ValidIn(l, 2)) })],
            [.. lists.Select(static l => (l, ValidIn(l, 3)))],
            [.. lists.SelectMany(static l => new[] { ($"{l}:0", ValidIn(l, 4)), ($"{l}:1", ValidIn(l, 5)) })],
            [.. lists.Select(static l => ($"{l}:1", ValidIn(l, 6)))]);

        var registration = services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
        var discovery = services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders");
        IEnumerable<string>[] read =
        [
            services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints, registration.AdvertisedUrls, registration.PreferredNetworks,
            registration.Tags, registration.Services["orders"].Endpoints, registration.Services["orders"].Tags, discovery.AllowedNetworks,
            discovery.AllowedPorts, discovery.Instances, discovery.Select.Tags,
        ];
        Assert.Equal(lists.Select(static l => $"{ValidIn(l, 4)},{ValidIn(l, 6)}"), read.Select(static r => string.Join(',', r)));

        static string ValidIn(string list, int number) => list.Split(':')[^1] switch
        {
            "Endpoints" or "AdvertisedUrls" => $"http://10.0.0.{number}:1",
            "Instances" => $"10.0.0.{number}:1",
            "AllowedNetworks" or "PreferredNetworks" => $"10.{number}.0.0/16",
            _ => $"{number}",
        };
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_array_replaces_the_text_of_an_earlier_source_whatever_the_sources_are_in(bool isChained)
    {
        var shared = new ConfigurationBuilder()
            .AddInMemoryCollection([new("Etcd:Endpoints", "http://a:1")]).AddInMemoryCollection([new("Etcd:Endpoints:0", "http://b:1")]).Build();
        using var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection([new("Etcd:Endpoints", isChained ? "http://0:1" : "http://a:1")]);
        configuration.AddConfiguration(isChained ? shared : new ConfigurationManager());
        configuration.AddInMemoryCollection(isChained ? [] : [new("Etcd:Endpoints:0", "http://b:1")]);

        Assert.Equal(["http://b:1"], Sections.ReadList(configuration, configuration.GetSection("Etcd"), "Endpoints")!);
    }

    [Theory]
    [InlineData(true, "Kitex")]
    [InlineData(false, "OpenIm, GoZero")]
    public void Layouts_are_those_of_the_later_source_in_whichever_form(bool isTextLater, string expected)
    {
        string[] sections = ["Etcd:Registration", "Etcd:Registration:Services:orders", "Etcd:Discovery", "Etcd:Discovery:Services:orders"];
        (string, string)[] text = [.. sections.Select(static s => ($"{s}:Layout", "Kitex"))];
        (string, string)[] list = [.. sections.SelectMany(static s => new[] { ($"{s}:Layouts:0", "OpenIm"), ($"{s}:Layouts:1", "GoZero") })];
        using var services = isTextLater ? Build(list, text) : Build(text, list);

        var registration = services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
        var discovery = services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
        Assert.All(
            [registration.Layout, registration.Services["orders"].Layout, discovery.CurrentValue.Layout, discovery.Get("orders").Layout],
            layout => Assert.Equal(expected, layout));
    }

    [Theory]
    [InlineData("Etcd:Registration", "Layouts", "[]", "Etcd:Registration:Layouts is '': no layout is named")]
    [InlineData("Etcd:Registration:Services:orders", "Layouts", "[]", "Etcd:Registration:Services:orders:Layouts is '': no layout is named")]
    [InlineData("Etcd:Registration:Services:orders", "Layout", "\"\"", "Etcd:Registration:Services:orders:Layout is '': no layout is named")]
    [InlineData("Etcd:Discovery", "Layouts", "[]", "Etcd:Discovery:Layouts is '': no layout is named")]
    [InlineData("Etcd:Discovery", "Layouts", "[ \"OpenIm\", \"Zookeeper\" ]", "Etcd:Discovery:Layouts is 'OpenIm, Zookeeper': there is no layout 'Zookeeper'")]
    [InlineData("Etcd:Discovery:Services:orders", "Layouts", "[]", "Etcd:Discovery:Services:orders:Layouts is '': no layout is named")]
    [InlineData("Etcd:Discovery:Services:orders", "Layout", "\"Zookeeper\"", "Etcd:Discovery:Services:orders:Layout is 'Zookeeper': there is no layout 'Zookeeper'")]
    public void A_wrong_layout_is_named_by_the_setting_that_says_it(string section, string setting, string json, string expected)
    {
        json = $$"""{ "{{section}}:{{setting}}": {{json}} }""";
        var configuration = new ConfigurationBuilder().AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json))).Build();
        using var services = new ServiceCollection().AddSingleton<IConfiguration>(configuration)
            .AddEtcdRegistration(o => o.ServiceName = "greeter").AddEtcdDiscovery().BuildServiceProvider();

        var error = Assert.Throws<OptionsValidationException>(() => section.StartsWith("Etcd:Registration", StringComparison.Ordinal)
            ? (object)services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value
            : services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders"));

        Assert.StartsWith(expected, Assert.Single(error.Failures), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_entry_or_a_configuration_that_does_not_tell_its_sources_leaves_a_text_as_it_is()
    {
        var root = new ConfigurationBuilder()
            .AddInMemoryCollection([new("App:Etcd:Endpoints", "http://a:1"), new("Etcd:Endpoints", "http://a:1")])
            .AddInMemoryCollection([new("App:Etcd:Endpoints:0", "http://b:1"), new("Etcd:Endpoints:0", "")])
            .Build();

        Assert.Equal(["http://a:1"], Sections.ReadList(root, root.GetSection("Etcd"), "Endpoints")!);
        Assert.Equal(["http://a:1"], Sections.ReadList(root.GetSection("App"), root.GetSection("App:Etcd"), "Endpoints")!);
    }

    [Fact]
    public void Names_keep_the_case_of_the_source_that_has_them_first()
    {
        using var services = Build(
            [("Etcd:Registration:Services:User:Version", "1"), ("Etcd:Registration:Metadata:teamName", "a")],
            [("ETCD:REGISTRATION:SERVICES:USER:WEIGHT", "20"), ("ETCD:REGISTRATION:METADATA:TEAMNAME", "b")]);

        var options = services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
        var (name, service) = Assert.Single(options.Services);
        Assert.Equal(("User", "1", 20), (name, service.Version, service.Weight));
        Assert.Equal("b", options.Metadata["teamName"]);
    }

    [Fact]
    public void Settings_of_the_service_that_is_registered_are_its_own_in_whatever_case_they_are_written()
    {
        using var services = Build([("ETCD:REGISTRATION:SERVICES:GREETER:WEIGHT", "20"), ("Etcd:Registration:Services:User:Weight", "5")]);

        var options = services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
        Assert.Equal([("User", 5), ("greeter", 20)], options.Services.Select(static s => (s.Key, Value: s.Value.Weight!.Value)).OrderBy(static s => s.Value));
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, 20)]
    public void Code_finds_the_settings_of_the_service_that_is_registered_in_its_own_case(bool keeps, int? weight)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            [new("Etcd:Registration:ServiceName", "greeter"), new("ETCD:REGISTRATION:SERVICES:GREETER:WEIGHT", "20")]).Build());
        services.AddEtcdRegistration(o =>
        {
            if (!keeps)
            {
                o.Services["greeter"] = new RegisteredServiceOptions();
            }

            o.Services["greeter"].Version = "2";
        });
        using var provider = services.BuildServiceProvider();

        var (name, service) = Assert.Single(provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Services);
        Assert.Equal(("greeter", "2", weight), (name, service.Version, service.Weight));
    }

    [Fact]
    public void What_code_sets_of_the_service_that_it_registers_replaces_the_settings_in_whatever_case()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            [new("ETCD:REGISTRATION:SERVICES:GREETER:WEIGHT", "20"), new("Etcd:Registration:Services:User:Weight", "5")]).Build());
        services.AddEtcdRegistration(static o => (o.ServiceName, o.Services["greeter"]) = ("greeter", new RegisteredServiceOptions { Version = "2" }));
        using var provider = services.BuildServiceProvider();

        var registered = provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Services;
        Assert.Equal(["User", "greeter"], registered.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("2", null), (registered["greeter"].Version, registered["greeter"].Weight));
    }

    [Fact]
    public void A_service_that_code_adds_is_another_one_than_that_whose_name_differs_by_case()
    {
        var services = new ServiceCollection();
        services.AddEtcdRegistration(static o => (o.ServiceName, o.Services["Greeter"]) = ("greeter", new RegisteredServiceOptions { Weight = 5 }));
        using var provider = services.BuildServiceProvider();

        Assert.Equal("Greeter", Assert.Single(provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Services).Key);
    }

    [Fact]
    public async Task A_registration_that_is_switched_off_needs_no_endpoints()
    {
        using var host = Host.CreateEmptyApplicationBuilder(null).Use(b =>
        {
            b.Configuration.AddInMemoryCollection([new("Etcd:Registration:Enabled", "false")]);
            b.Services.AddEtcdRegistration();
        });

        await host.StartAsync();

        var registration = host.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Disabled);
    }

    [Fact]
    public async Task A_registration_that_is_added_twice_is_one_with_the_options_of_both()
    {
        using var host = Host.CreateEmptyApplicationBuilder(null).Use(static b =>
        {
            b.Services.AddEtcdRegistration(static o => o.Enabled = false);
            b.Services.AddEtcdRegistration(static o => (o.Weight, o.Zone) = (20, "a"));
        });

        await host.StartAsync();

        var options = host.Services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
        Assert.Equal((false, 20, "a"), (options.Enabled, options.Weight, options.Zone));
        Assert.Single(host.Services.GetServices<IServiceRegistration>());
        Assert.Single(host.Services.GetServices<IHostedService>(), static s => s.GetType().Name == "RegistrationGroup");
    }

    public void Dispose() => _log.Dispose();

    private static ServiceProvider Build(params (string Key, string Value)[][] sources)
    {
        var configuration = new ConfigurationBuilder();
        foreach (var source in sources)
        {
            configuration.AddInMemoryCollection(source.ToDictionary(s => s.Key, s => (string?)s.Value));
        }

        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(configuration.Build());
        services.AddEtcdRegistration(o => o.ServiceName = "greeter").AddEtcdDiscovery();
        return services.BuildServiceProvider();
    }

    private async Task<IHost> StartAsync(params (string Key, string Value)[] settings)
    {
        var host = Host.CreateEmptyApplicationBuilder(null).Use(b =>
        {
            b.Configuration.AddInMemoryCollection([new("Etcd:Endpoints:0", "http://127.0.0.1:9"), new("Etcd:Registration:ServiceName", "greeter")]);
            b.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value));
            b.Logging.AddProvider(_log);
            b.Services.AddEtcdRegistration().AddHttpClient("orders").AddEtcdDiscovery();
        });
        await host.StartAsync();
        return host;
    }
}

file static class BuilderExtensions
{
    public static IHost Use(this HostApplicationBuilder builder, Action<HostApplicationBuilder> configure)
    {
        configure(builder);
        return builder.Build();
    }
}
