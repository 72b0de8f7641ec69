using System.Text.Json.Nodes;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.ServiceDiscovery.Hosting;

namespace Docs.Tests.Settings;

/// <summary>
/// The packed schema and docs/settings.md are made of the options. After a change of those, write both anew:
/// <c>build/settings.sh</c>.
/// </summary>
public sealed class SchemaTests
{
    private static bool IsWriting => Environment.GetEnvironmentVariable("WRITE_SETTINGS") == "1";

    [Fact]
    public void The_schemas_are_those_of_the_options()
        => Assert.All(SettingsSchema.BuildAll(), static s => Compare(SettingsSchema.PathOf(s.Package), SettingsSchema.Write(s.Schema)));

    [Fact]
    public void The_page_of_settings_is_that_of_the_options() => Compare(SettingsPage.Path, SettingsPage.Write());

    [Fact]
    public void The_schema_has_every_setting_that_is_read_and_no_other()
    {
        var schema = SettingsSchema.BuildWhole();

        var package = new PackageSettings(ConfigureServiceEndpointProvider.Name, ConfigureServiceEndpointProvider.Shape);
        var read = Paths("Etcd", KnownSettings.Etcd([package])).Order(StringComparer.Ordinal);

        Assert.Equal(read, Paths("Etcd", schema["properties"]!["Etcd"]!.AsObject(), schema).Order(StringComparer.Ordinal));
    }

    private static void Compare(string path, string expected)
    {
        if (IsWriting)
        {
            File.WriteAllText(path, expected);
        }

        Assert.True(
            File.Exists(path) && File.ReadAllText(path).ReplaceLineEndings("\n") == expected,
            $"{Repository.Shown(path)} is not that of the options. build/settings.sh writes it anew.");
    }

    private static IEnumerable<string> Paths(string path, SettingShape shape) => shape.Kind switch
    {
        SettingKind.Section => shape.Children.SelectMany(c => Paths($"{path}:{c.Key}", c.Value)),
        SettingKind.Named => Paths($"{path}:<name>", shape.Each!),
        _ => [path],
    };

    private static IEnumerable<string> Paths(string path, JsonObject setting, JsonObject schema)
    {
        if (setting["$ref"]?.GetValue<string>() is { } reference)
        {
            setting = schema["definitions"]![reference.Split('/')[^1]]!.AsObject();
        }

        if (setting["properties"] is JsonObject properties)
        {
            return properties.SelectMany(p => Paths($"{path}:{p.Key}", p.Value!.AsObject(), schema));
        }

        return setting["additionalProperties"] is JsonObject each ? Paths($"{path}:<name>", each, schema) : [path];
    }
}
