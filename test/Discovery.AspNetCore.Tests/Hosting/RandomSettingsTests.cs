using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>
/// Settings files of random values and shapes, with mistyped names. A file is good, or an error names the setting; what was found good works.
/// <c>DISCOVERY_RANDOM_SETTINGS</c> is the number of files, and <c>DISCOVERY_RANDOM_SEED</c> the seed (see <see cref="RandomSeed"/>).
/// </summary>
public sealed class RandomSettingsTests
{
    private static readonly int Files = Setting("DISCOVERY_RANDOM_SETTINGS") ?? 300;
    private static readonly int Seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");

    private static readonly string[] Texts =
    [
        "", " ", "a", "greeter", "0", "1", "-1", "10", "100", "65536", "99999999999999999999", "1.5", "1e999", "NaN", "-Infinity", "∞", "true", "FALSE", "yes", "null",
        "00:00:01", "00:00:10", "00:05:00", "-00:00:01", "10675199.02:48:05.4775807", "99999999.00:00:00", "24:00:00", "1.00:00:00", "00:00:00.0000001", "soon",
        "http://a:1", "https://10.0.0.1:5000", "http://", "http://[::1]:5000/", "http://a:99999", "ftp://a", "http://user:password@a:1/path?x#y", "//a", "a:1,b:2", ",", "a,,b",
        "10.0.0.0/8", "10.0.0.0/33", "::/0", "fe80::1%1", "80", "8000-8999", "9-1", "0-70000", "*", "0.0.0.0", "[::]", "localhost",
        "EtcdNaming", "etcdnaming:", "OpenIm, Kratos", "EtcdNaming:a//b/", "GoZero:/", "Kitex:\n", "EtcdNamingObject,EtcdNaming", "Lime", ":", "Kratos:日本",
        "LeastLoad", "Random", "RoundRobin,", "service", "endpoint", "v2", "a/b", "a\u0000b", "\u2028", "日本", "\ud83d\ude00", "{", "%2F", "..", "/", "C:\\x",
    ];

    private static readonly string[] Names = ["greeter", "Greeter", "a_b", "a/b", "a:b", "0", "1", "", " ", "Weight", "team", "draining", "日本", "Grpc", "dc2"];

    // Without these no file would be good.
    private static readonly Dictionary<string, string?> Needed = new()
    {
        ["Etcd:Endpoints"] = "http://a:1", ["Etcd:Clusters:dc2:Endpoints"] = "http://b:1", ["Etcd:Registration:ServiceName"] = "greeter",
    };

    private static readonly SettingShape[] Shapes = [SettingShape.Value, SettingShape.List, SettingShape.Named(SettingShape.Value), KnownSettings.Registration];

    [Fact]
    public async Task A_file_is_good_or_an_error_names_the_setting()
    {
        var random = new Random(Seed);
        var good = 0;
        for (var i = 0; i < Files; i++)
        {
            // Half of the files have little in them, so that many are good.
            var json = new JsonObject { ["Etcd"] = Make(random, KnownSettings.Etcd([]), random.Next(2) == 0 ? 1 : 4, depth: 0) }.ToJsonString();
            try
            {
                await UseAsync(json);
                good++;
            }
            catch (OptionsValidationException e)
            {
                Assert.All(e.Failures, f => Assert.True(NamesASetting(f), $"seed {Seed}, file {i}: {f}\n{json}"));
                Assert.True(e.Failures.Any(), json);
            }
            catch (InvalidOperationException e) when (e.Message.Contains("it must be ", StringComparison.Ordinal))
            {
                Assert.True(NamesASetting(e.Message), $"seed {Seed}, file {i}: {e.Message}\n{json}");
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {Seed}, file {i}: {json}\n{e}");
            }
        }

        Assert.True(good > Files / 20 && good < Files, $"seed {Seed}: {good} of {Files} files are good");
    }

    private static bool NamesASetting(string message) => message.Contains("Etcd:", StringComparison.OrdinalIgnoreCase) && (message.Contains('\'') || message.Contains("e.g."));

    private static async Task UseAsync(string json)
    {
        using var file = new MemoryStream(Encoding.UTF8.GetBytes(json));
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(Needed).AddJsonStream(file).Build());
        services.AddEtcdRegistration().AddEtcdDiscovery().AddKeyedEtcdRegistration("dc2");
        services.AddHttpClient("greeter").AddEtcdDiscovery();
        await using var provider = services.BuildServiceProvider();

        // Like an application: the registration first, and everything at the start.
        var registrations = provider.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>();
        var layouts = provider.GetRequiredService<LayoutCatalog>();
        foreach (var cluster in new[] { "", "dc2" })
        {
            AdvertisedEndpoint[] endpoints = [new("Grpc", "http", "10.0.0.1", 5000) { Protocols = "h2" }, new("Web", "https", "fd00::1", 5001)];
            var options = registrations.Get(cluster);
            Assert.All(
                RegistrationRecord.Build(new DesiredRegistration(options, endpoints), layouts, "i1", weight: null),
                static r => Assert.True(r.Key.Length > 0 && r.Value.Value.Length > 0));
            Assert.NotEmpty(provider.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get(cluster).Endpoints);
        }

        foreach (var service in new[] { "greeter", "a_b", "a:b", "日本" })
        {
            var options = provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get(service);
            Assert.NotEmpty(layouts.Parse(options.Layout));
            _ = new AddressFilter(options).Allows(new ServiceInstance { Key = "k", ServiceName = service, Host = "10.0.0.1", Port = 80 });
        }

        foreach (var hosted in provider.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<UnknownSettings>())
        {
            await hosted.StartAsync(CancellationToken.None);
        }

        // Its base address is of the settings too.
        using var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");
        Assert.NotNull(client.BaseAddress);
    }

    private static JsonNode? Make(Random random, SettingShape shape, int size, int depth)
    {
        if (random.Next(12) == 0)
        {
            shape = Shapes[random.Next(Shapes.Length)];
        }

        return depth > 5 ? Literal(random) : shape.Kind switch
        {
            SettingKind.Value => Literal(random),
            SettingKind.List when random.Next(3) > 0 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Literal(random))]),
            SettingKind.List => Literal(random),
            SettingKind.Named => Object(
                random.Next(size + 1), () => (Names[random.Next(Names.Length)], Make(random, shape.Each!, size, depth + 1))),
            SettingKind.Section => Object(random.Next(size + 1), () =>
            {
                var (name, child) = shape.Children.ElementAt(random.Next(shape.Children.Count));
                return (Mistyped(random, name), Make(random, child, size, depth + 1));
            }),
            _ => Literal(random),
        };
    }

    // Names that differ by their case only are one setting, which the reader of files refuses to read twice.
    private static JsonObject Object(int count, Func<(string Name, JsonNode? Value)> next)
    {
        var properties = new Dictionary<string, JsonNode?>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < count; i++)
        {
            var (name, value) = next();
            if (!properties.Keys.Any(k => k.Split(':')[0].Equals(name.Split(':')[0], StringComparison.OrdinalIgnoreCase)))
            {
                properties[name] = value;
            }
        }

        return new JsonObject(properties);
    }

    private static string Mistyped(Random random, string name) => random.Next(20) switch
    {
        0 => name.ToUpperInvariant(),
        1 => name[..^1],
        2 => name + Names[random.Next(Names.Length)],
        _ => name,
    };

    private static JsonValue? Literal(Random random) => random.Next(6) switch
    {
        0 => JsonValue.Create(random.Next(-10, 100)),
        1 => random.Next(3) switch { 0 => null, 1 => JsonValue.Create(true), _ => JsonValue.Create(random.NextDouble() * 1e20) },
        _ => JsonValue.Create(Texts[random.Next(Texts.Length)]),
    };

    private static int? Setting(string name)
        => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
