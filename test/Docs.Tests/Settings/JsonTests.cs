using System.Text.Json;
using System.Text.Json.Nodes;
using Json.Schema;

namespace Docs.Tests.Settings;

/// <summary>What the pages and the examples have as appsettings.json is what the schema allows.</summary>
public sealed class JsonTests
{
    private static readonly JsonDocumentOptions Reading = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    // Under Etcd an application may have settings of its own; here they are mistyped.
    private static readonly Lazy<JsonSchema> Strict = new(static () =>
    {
        var schema = SettingsSchema.BuildWhole();
        schema["properties"]!["Etcd"]!["additionalProperties"] = false;
        return JsonSchema.FromText(schema.ToJsonString());
    });

    public static TheoryData<Fence> Snippets => [.. Repository.Pages.SelectMany(static page => Repository.Fences(page, "json")).Where(static f => IsSettings(f.Text))];

    public static TheoryData<string> Examples =>
    [
        .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "examples"), "appsettings*.json", SearchOption.AllDirectories)
            .Where(static f => !f.Contains($"{Path.DirectorySeparatorChar}bin{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .Select(Repository.Shown),
    ];

    [Theory]
    [MemberData(nameof(Snippets))]
    public void A_snippet_fits_the_schema(Fence snippet) => Assert.Equal([], Problems(Whole(snippet.Text)));

    [Theory]
    [MemberData(nameof(Examples))]
    public void Settings_of_an_example_fit_the_schema(string path)
        => Assert.Equal([], Problems(File.ReadAllText(Path.Combine(Repository.Root, path))));

    [Theory]
    [InlineData("""{ "Etcd": { "Endpoint": "http://10.0.0.1:2379" } }""", "/Etcd/Endpoint")]
    [InlineData("""{ "Etcd": { "Registration": { "TimeToLive": "10" } } }""", "/Etcd/Registration/TimeToLive")]
    [InlineData("""{ "Etcd": { "Registration": { "Services": [ "a", "b" ] } } }""", "/Etcd/Registration/Services")]
    [InlineData("""{ "Etcd": { "Discovery": { "Ejection": "off" } } }""", "/Etcd/Discovery/Ejection")]
    [InlineData("""{ "Etcd": { "Registration": { "Weight": -1 } } }""", "/Etcd/Registration/Weight")]
    [InlineData("""{ "Etcd": { "Discovery": { "Scheme": "grpc" } } }""", "/Etcd/Discovery/Scheme")]
    [InlineData("""{ "Etcd": { "Discovery": { "Services": { "greeter": { "Polciy": "Random" } } } } }""", "/Etcd/Discovery/Services/greeter/Polciy")]
    [InlineData("""{ "Etcd": { "ServiceDiscovery": { "WhenEmpty": "Fall" } } }""", "/Etcd/ServiceDiscovery/WhenEmpty")]
    [InlineData("""{ "Etcd": { "Clusters": { "dc2": { "Registration": { "Weight": "heavy" } } } } }""", "/Etcd/Clusters/dc2/Registration/Weight")]
    public void A_mistake_is_found_where_it_stands(string text, string place)
        => Assert.Contains(Problems(text), problem => problem.StartsWith(place + ":", StringComparison.Ordinal));

    /// <summary>Own names are as good as those that the schema suggests; a list may be a text.</summary>
    [Fact]
    public void What_the_library_reads_is_allowed() => Assert.Equal([], Problems("""
        {
          "Etcd": {
            "Endpoints": "http://10.0.0.1:2379,http://10.0.0.2:2379",
            "Registration": { "ServiceName": "shop", "Layout": "EtcdNaming:openim/,Mine", "Tags": "a,b", "DrainDelay": "0" },
            "Discovery": { "Policy": "Mine", "SlowStart": "00:00:01.5", "Split": { "v2": 2.5 }, "Services": { "a:b": { "TlsTargetHost": "shop.example" } } }
          }
        }
        """));

    /// <summary>A snippet may be a part of the file: some of its members, the path of a setting as a name.</summary>
    private static string Whole(string text)
    {
        var whole = text.TrimStart().StartsWith('{') ? text : "{" + text + "}";
        return Nested(JsonNode.Parse(whole, documentOptions: Reading)!.AsObject()).ToJsonString();
    }

    private static JsonObject Nested(JsonObject flat)
    {
        var nested = new JsonObject();
        foreach (var (path, value) in flat)
        {
            var names = path.Split(':');
            var section = nested;
            foreach (var name in names[..^1])
            {
                section = (section[name] ??= new JsonObject()).AsObject();
            }

            section[names[^1]] = value?.DeepClone();
        }

        return nested;
    }

    private static bool IsSettings(string text) => text.Contains("\"Etcd", StringComparison.Ordinal);

    private static IEnumerable<string> Problems(string text)
    {
        using var settings = JsonDocument.Parse(text, Reading);
        var result = Strict.Value.Evaluate(settings.RootElement, new EvaluationOptions { OutputFormat = OutputFormat.List });
        return result.IsValid ? [] : [.. (result.Details ?? []).Where(static d => d.Errors is not null).Select(static d => $"{d.InstanceLocation}: {string.Join(' ', d.Errors!.Values)}")];
    }
}
