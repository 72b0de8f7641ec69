using System.Net;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>A prefix full of what is no instance, or leads where nobody may go.</summary>
public sealed class GarbageTests
{
    private const int Keys = 5_000;

    private static readonly string[] BadAddresses =
    [
        ":0", "http://", "https://:443", "169.254.169.254:80", "http://169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80", "2852039166:80", "0.0.0.0:80", "[::]:80", "224.0.0.1:80", "10.0.0.1", "10.0.0.1:99999", "10.0.0.1:-1", "::1:80", "ü ü:80",
        "\u202e1.0.0.1:x", "ftp://10.0.0.1:80", "unix:///run/x", "a@b:80", "10.0.0.1:80\n10.0.0.2:80",
    ];

    [Theory]
    [InlineData("EtcdNaming")]
    [InlineData("OpenIm")]
    [InlineData("GoZero")]
    [InlineData("Kratos")]
    [InlineData("Kitex")]
    public async Task The_good_ones_are_found_and_nothing_else_is_called(string name)
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Layout", name));
        var layout = new LayoutCatalog([]).Parse(name)[0];
        var seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");
        var random = new Random(seed);
        for (var i = 0; i < Keys; i++)
        {
            harness.Etcd.Put($"{layout.GetPrefix("svc")}\n{new string('k', random.Next(300))}{i}", Garbage(random, i, layout));
        }

        var good = new List<BackendServer>();
        for (var i = 0; i < 3; i++)
        {
            var server = await BackendServer.StartAsync(context => Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, $"{context.Connection.LocalPort}"));
            good.Add(server);
            var uri = new Uri($"http://{server.Address}");
            var instance = new ServiceInstance
            {
                Key = "", ServiceName = "svc", Host = uri.Host, Port = uri.Port, Metadata = new Dictionary<string, string> { ["protocols"] = "h1" },
            };
            harness.Etcd.Put(layout.GetKey("svc", server.Address), layout.Write(instance)!);
        }

        using var client = harness.Client();
        var answered = new HashSet<string>();
        for (var i = 0; i < 30; i++)
        {
            answered.Add(await client.GetStringAsync("x"));
        }

        Assert.Equal(good.Select(static s => s.Address.Split(':')[1]).Order(), answered.Order());
        Assert.True(
            good.Select(static s => s.Address).ToHashSet().SetEquals(harness.Pool.Current!.Instances.Select(static i => i.Record.Address)),
            $"seed {seed}: {string.Join(' ', harness.Pool.Current.Instances.Select(static i => i.Record.Address))}");
        var lines = harness.Log.At(Microsoft.Extensions.Logging.LogLevel.Warning);
        Assert.InRange(lines.Count, 100, 202);
        Assert.Contains(lines, static l => l.StartsWith("100 records that are no instances", StringComparison.Ordinal));
        Assert.All(lines, l => Assert.True(l.Length < 1000 && !l.Contains('\n'), l));
        foreach (var server in good)
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task Addresses_that_may_not_be_called_are_logged_a_hundred_times_at_most()
    {
        await using var harness = new Harness();
        await harness.StartServerAsync();
        for (var i = 1; i < 250; i++)
        {
            harness.Register($"169.254.1.{i}:80", key: $"\u202e\n{i}");
        }

        using var client = harness.Client();
        await client.GetStringAsync("x");
        await Eventually.IsTrue(() => harness.Log.Has(Microsoft.Extensions.Logging.LogLevel.Warning, "100 addresses of service 'svc'"));

        var lines = harness.Log.At(Microsoft.Extensions.Logging.LogLevel.Warning);
        Assert.Equal(101, lines.Count);
        Assert.All(lines, static l => Assert.False(l.Contains('\n') || l.Contains('\u202e'), l));
    }

    private static byte[] Garbage(Random random, int number, IServiceLayout own)
    {
        var address = BadAddresses[random.Next(BadAddresses.Length)];
        switch (number % 8)
        {
            case 0:
                var bytes = new byte[random.Next(200)];
                random.NextBytes(bytes);
                return bytes;
            case 1:
                return Encoding.UTF8.GetBytes(address);
            case 2:
                return Encoding.UTF8.GetBytes($$"""{"Op":0,"Addr":"{{Escaped(address)}}","Metadata":null}""");
            case 3:
                return Encoding.UTF8.GetBytes($$"""{"network":"tcp","address":"{{Escaped(address)}}","weight":10,"tags":null}""");
            case 4:
                return Encoding.UTF8.GetBytes($$"""{"name":"svc","endpoints":["grpc://{{Escaped(address)}}","http://{{Escaped(address)}}"]}""");
            case 5:
                return Encoding.UTF8.GetBytes("""{"Addr":"10.0.0.1:80","address":"10.0.0.1:80","endpoints":["grpc://10.0.0.1:80" """);
            case 6 when number < 100:
                return Encoding.UTF8.GetBytes(new string('9', 1_000_000) + ":80");
            case 6:
                return Encoding.UTF8.GetBytes(new string('[', random.Next(5_000)));
            default:
                // What another layout writes.
                var other = new LayoutCatalog([]).Parse(
                    own.Name is "OpenIm" or "GoZero" ? "Kitex" : own.Name is "EtcdNaming" ? "Kratos" : "EtcdNaming")[0];
                return other.Write(new ServiceInstance { Key = "", ServiceName = "other", Host = "10.0.0.7", Port = 80 })!;
        }
    }

    private static string Escaped(string text) => text.Replace("\n", "\\n", StringComparison.Ordinal);
}
