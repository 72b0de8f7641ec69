using System.Globalization;
using System.Net;
using System.Text;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>
/// Random input for everything that reads what others wrote, in every run of the tests; <c>build/fuzz.sh</c> is led by what is reached.
/// <c>DISCOVERY_RANDOM_RECORDS</c> is the number of records, and <c>DISCOVERY_RANDOM_SEED</c> the seed (see <see cref="RandomSeed"/>).
/// </summary>
public sealed class RandomRecordTests
{
    private static readonly int Records = Setting("DISCOVERY_RANDOM_RECORDS") ?? 20_000;
    private static readonly int Seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");

    private static readonly string[] Pieces =
    [
        "{", "}", "[", "]", "\"", ":", ",", "null", "true", "-1", "1e999", "99999999999999999999", "0", "\\ud800", "\\u0000", "\ud83d\ude00", "\u202e", "\n", " ",
        "\"Addr\":", "\"ADDR\":", "\"Metadata\":", "\"endpoints\":", "\"address\":", "\"network\":\"tcp\"", "\"weight\":", "\"tags\":", "\"draining\":", "\"name\":\"svc\"",
        "10.0.0.1:80", "[::1]:80", "169.254.169.254:80", "0xa9fea9fe:80", "[::ffff:a9fe:a9fe]:80", "[fe80::1%25eth0]:80", "127.1:80", "a_b:80", "xn--a:80", "http://",
        "grpc://", "grpcs://", "?isSecure=true", "@", "%2F", "/", "..", ":0", "65535", "65536",
    ];

    private static readonly string[] Valid =
    [
        """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{"id":"a","weight":5,"tags":["a"],"draining":true}}""", "10.0.0.1:5000", "[fd00::1]:5000",
        """{"id":"a","name":"svc","version":"1","metadata":{"weight":"5"},"endpoints":["grpc://10.0.0.1:9000?isSecure=false","http://10.0.0.1:8000"]}""",
        """{"network":"tcp","address":"10.0.0.1:8888","weight":10,"tags":{"zone":"a"}}""",
    ];

    [Fact]
    public void No_record_breaks_a_reader_or_leads_where_nobody_may_go()
    {
        var random = new Random(Seed);
        var layouts = new LayoutCatalog([]).Parse("EtcdNaming, OpenIm, GoZero, Kratos, Kitex");
        var filter = new AddressFilter(new EtcdDiscoveryOptions());
        var read = 0;
        for (var i = 0; i < Records; i++)
        {
            var value = Next(random);
            foreach (var layout in layouts)
            {
                try
                {
                    read += Read(layout, value, filter);
                }
                catch (Exception e)
                {
                    Assert.Fail($"{layout.Name}, seed {Seed}, record {i}: {Convert.ToHexString(value)}: {e}");
                }
            }
        }

        // Else only refusals would be tested.
        Assert.True(read > Records / 100, $"seed {Seed}: only {read} records were read");
    }

    [Fact]
    public void No_snapshot_breaks_its_reader()
    {
        var random = new Random(Seed);
        using var stream = new MemoryStream();
        SnapshotFormat.Write(
            stream, "services/svc/", new EtcdListing { Items = [Record(Encoding.UTF8.GetBytes(Valid[0]))], Revision = 7, ClusterId = 1 }, DateTimeOffset.UnixEpoch);
        var directory = Directory.CreateTempSubdirectory("random-snapshot-");
        try
        {
            var file = new SnapshotFile(directory.FullName, "svc", "services/svc/", TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
            file.Write(new EtcdListing { Items = [], Revision = 7, ClusterId = 1 });
            var path = Assert.Single(Directory.GetFiles(directory.FullName));
            for (var i = 0; i < Records / 100; i++)
            {
                File.WriteAllBytes(path, Change(random, stream.ToArray()));

                Assert.True(!file.TryRead(out var listing) || listing.Items.Count == 1, $"seed {Seed}, snapshot {i}");
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void No_setting_breaks_its_validation()
    {
        var random = new Random(Seed);
        var catalog = new LayoutCatalog([]);
        for (var i = 0; i < Records; i++)
        {
            var text = Text(random);
            if (catalog.TryParse(text, out var layouts, out var problem))
            {
                Assert.All(layouts, layout => Assert.EndsWith("/", layout.GetPrefix("svc"), StringComparison.Ordinal));
            }
            else
            {
                Assert.False(string.IsNullOrEmpty(problem));
            }

            _ = StaticService.TryRead("svc", text, out _, out _);
            _ = AddressFilter.TryParsePorts(text, out _);
            _ = ServiceNames.GetProblem(text);
        }
    }

    private static int Read(IServiceLayout layout, byte[] value, AddressFilter filter)
    {
        if (!layout.TryReadAll("svc", Record(value), out var instances, out var problem))
        {
            Assert.False(string.IsNullOrEmpty(problem));
            return 0;
        }

        Assert.NotEmpty(instances);
        foreach (var instance in instances)
        {
            Assert.InRange(instance.Port, 1, 65535);
            Assert.NotEqual(UriHostNameType.Unknown, Uri.CheckHostName(instance.Host));
            Assert.True(instance.Weight >= 0);
            if (filter.Allows(instance) && IPAddress.TryParse(instance.Host, out var address))
            {
                // Asked in another way than the filter does.
                var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
                Assert.False(
                    IPAddress.IsLoopback(plain) || plain.IsIPv6LinkLocal || plain.IsIPv6Multicast || plain.ToString().StartsWith("169.254.", StringComparison.Ordinal)
                        || plain.ToString().StartsWith("0.", StringComparison.Ordinal),
                    instance.Address);
            }

            // What was read can be written, or cannot be said, but never breaks the writer.
            _ = layout.Write(instance);
        }

        return 1;
    }

    private static byte[] Next(Random random) => random.Next(4) switch
    {
        0 => Change(random, new byte[random.Next(40)]),
        1 => Encoding.UTF8.GetBytes(Text(random)),
        2 => Encoding.UTF8.GetBytes(Spliced(random)),
        _ => Change(random, Encoding.UTF8.GetBytes(Valid[random.Next(Valid.Length)])),
    };

    private static string Text(Random random) => string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => Pieces[random.Next(Pieces.Length)]));

    private static string Spliced(Random random)
    {
        var valid = Valid[random.Next(Valid.Length)];
        var at = random.Next(valid.Length);
        return valid[..at] + Pieces[random.Next(Pieces.Length)] + valid[Math.Min(valid.Length, at + random.Next(20))..];
    }

    private static byte[] Change(Random random, byte[] bytes)
    {
        for (var change = random.Next(4); change > 0 && bytes.Length > 0; change--)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return bytes;
    }

    private static EtcdKeyValue Record(byte[] value) => new()
    {
        KeyBytes = "services/svc/k"u8.ToArray(), Value = value, CreateRevision = 1, ModRevision = 7, Version = 1,
    };

    private static int? Setting(string name)
        => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
