using System.Reflection;
using System.Text;
using System.Text.Json;
using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>Records are byte for byte those that Go writes: random ones are written by test/interop/go/records.go too.</summary>
public sealed class GoRecordTests
{
    private const int Records = 400;

    private static readonly string[] Pieces =
    [
        "a", "Z", "<", ">", "&", "'", "\"", "\\", "/", "\n", "\r", "\t", "\b", "\f", "\0", "\u001f", "\u007f", "\u0085", "\u00a0", "ü", "\u2027", "\u2028", "\u2029", "\u202e",
        "\ud7ff", "\ue000", "\uffee", "\ufffd", "\uffff", "\U00010000", "\U0001f600", "{", "%2F", "日本",
    ];

    [Fact]
    public async Task Go_writes_the_same()
    {
        var seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");
        var random = new Random(seed);
        var instances = Enumerable.Range(0, Records).Select(_ => Instance(random)).ToList();
        var ways = new (string Layout, Func<ServiceInstance, object> Facts)[]
        {
            ("EtcdNaming", static i => new { Way = "naming", i.Address, Text = InstanceMetadata.ToObject(i) }),
            ("EtcdNamingObject", static i => new { Way = "naming object", i.Address, i.Metadata }),
            ("Kratos", KratosFacts),
            ("Kitex", static i => new { Way = "kitex", i.Address, Weight = Math.Max(1, i.Weight), Metadata = Texts(i, i.Weight > 0 ? InstanceMetadata.Weight : "") }),
        };
        foreach (var (name, facts) in ways)
        {
            var layout = new LayoutCatalog([]).Parse(name)[0];

            // In an object, what we say beside the application's metadata has an order of ours, as the fields of a struct have.
            var written = name == "EtcdNamingObject" ? instances.ConvertAll(static i => Bare(i)) : instances;
            var expected = await WriteAsync(written.Select(facts));

            Assert.Equal(Records, expected.Count);
            for (var i = 0; i < Records; i++)
            {
                var actual = Encoding.UTF8.GetString(layout.Write(written[i])!);
                Assert.True(expected[i] == actual, $"{name}, seed {seed}, record {i}:\n{expected[i]}\n{actual}");
            }
        }
    }

    private static object KratosFacts(ServiceInstance i)
    {
        var metadata = Texts(i, InstanceMetadata.Id, InstanceMetadata.Version, InstanceMetadata.Scheme);
        if (metadata?.ContainsKey(InstanceMetadata.Weight) == true)
        {
            metadata[InstanceMetadata.Weight] = $"{i.Weight * 10}";
        }

        return new
        {
            Way = "kratos",
            ID = i.InstanceId ?? i.Address,
            Name = i.ServiceName,
            Version = i.Version ?? "",
            Metadata = metadata,
            Endpoints = KratosEndpoint.Of(i),
        };
    }

    private static SortedDictionary<string, string>? Texts(ServiceInstance instance, params string[] without)
    {
        var texts = InstanceMetadata.ToTexts(instance);
        foreach (var name in without)
        {
            texts.Remove(name);
        }

        return texts.Count == 0 ? null : texts;
    }

    private static ServiceInstance Bare(ServiceInstance i)
        => new() { Key = "", ServiceName = "svc", Host = i.Host, Port = i.Port, Metadata = i.Metadata.Count > 0 ? i.Metadata : new Dictionary<string, string> { ["a"] = "b" } };

    private static ServiceInstance Instance(Random random) => new()
    {
        Key = "",
        ServiceName = "svc" + Text(random),
        Host = random.Next(2) == 0 ? "10.0.0.1" : "fd00::1",
        Port = random.Next(1, 65536),
        Scheme = random.Next(3) switch { 0 => "http", 1 => "https", _ => null },
        InstanceId = "i" + Text(random),
        Weight = random.Next(12),
        Zone = Text(random),
        Version = Text(random),
        Tags = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Text(random))],
        IsDraining = random.Next(2) == 0,
        Protocols = (InstanceProtocols)random.Next(4),
        Metadata = Enumerable.Range(0, random.Next(6)).Select(_ => "m" + Text(random)).Distinct(StringComparer.Ordinal).ToDictionary(static n => n, _ => Text(random)),
    };

    private static string Text(Random random) => string.Concat(Enumerable.Range(0, random.Next(5)).Select(_ => Pieces[random.Next(Pieces.Length)]));

    private static async Task<List<string>> WriteAsync(IEnumerable<object> facts)
    {
        var root = typeof(GoRecordTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(static a => a.Key == "RepositoryRoot").Value!;
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllLinesAsync(file, facts.Select(static f => JsonSerializer.Serialize(f)));
            await using var process = await OwnedProcess.StartAsync(
                await GoProgram.BuildAsync(Path.Combine(root, "test", "interop", "go", "records.go")), [file]);
            await process.WaitForExitAsync(TimeSpan.FromSeconds(60));

            // What Go writes since 1.22 is what it wrote before.
            return [.. process.Output.Split('\n').SkipLast(1).Where(static l => l.StartsWith('{')).Select(Older)];
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string Older(string line)
    {
        var text = new StringBuilder();
        for (var i = 0; i < line.Length; i++)
        {
            text.Append(line[i]);
            if (line[i] == '\\')
            {
                _ = line[++i] switch
                {
                    'b' => text.Append("u0008"),
                    'f' => text.Append("u000c"),
                    var other => text.Append(other),
                };
            }
        }

        return text.ToString();
    }
}
