using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Docs.Tests.Settings;

/// <summary>docs/settings.md: what stands there by hand, and one table for each section of the schema.</summary>
internal static partial class SettingsPage
{
    private const string Begin = "<!-- The rest is made of the options by build/settings.sh. -->";

    public static string Path { get; } = System.IO.Path.Combine(Repository.Root, "docs", "settings.md");

    /// <summary>The page as it should be.</summary>
    public static string Write()
    {
        var schema = SettingsSchema.BuildWhole();
        var page = new StringBuilder(File.ReadAllText(Path).ReplaceLineEndings("\n").Split(Begin)[0]).Append(Begin).Append('\n');
        Write(page, "Etcd", schema["properties"]!["Etcd"]!.AsObject(), schema);
        return page.ToString();
    }

    private static void Write(StringBuilder page, string path, JsonObject section, JsonObject schema)
    {
        var settings = section["properties"]!.AsObject();
        page.Append(CultureInfo.InvariantCulture, $"\n## `{path}`\n\n{section["description"]}\n\n| setting | default | |\n|---|---|---|\n");
        List<(string Path, JsonObject Section)> below = [];
        foreach (var (name, node) in settings)
        {
            var setting = Resolve(node!.AsObject(), schema);
            if (setting["properties"] is not null)
            {
                below.Add(($"{path}:{name}", setting));
                continue;
            }

            var each = setting["additionalProperties"] as JsonObject;
            if (each is not null && Resolve(each, schema)["properties"] is not null)
            {
                // Clusters have the settings of Etcd, services those of Etcd:Discovery: they are not listed twice.
                if (name is "Clusters" || (path == "Etcd:Discovery" && name is "Services"))
                {
                    page.Append(CultureInfo.InvariantCulture, $"| `{name}:<name>:…` | | {setting["description"]} |\n");
                }
                else
                {
                    below.Add(($"{path}:{name}:<name>", Resolve(each, schema)));
                }

                continue;
            }

            var shown = each is null ? name : $"{name}:<name>";
            page.Append(CultureInfo.InvariantCulture, $"| `{shown}` | {Default(setting)} | {Description(setting)} |\n");
        }

        foreach (var (name, inner) in below)
        {
            Write(page, name, inner, schema);
        }
    }

    private static JsonObject Resolve(JsonObject setting, JsonObject schema)
        => setting["$ref"]?.GetValue<string>() is { } reference ? schema["definitions"]![reference.Split('/')[^1]]!.AsObject() : setting;

    private static string Default(JsonObject setting) => setting["default"] is { } value ? $"`{value}`" : "";

    /// <summary>Without the sentence that says nothing but the default, which has a column of its own.</summary>
    private static string Description(JsonObject setting)
    {
        var text = setting["description"]!.GetValue<string>();
        text = setting["default"] is null ? text : DefaultAlone().Replace(text, "");
        return text.Trim().Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
    }

    [GeneratedRegex(@" ?Default: [^.:;,]+\.(?=\s|$)")]
    private static partial Regex DefaultAlone();
}
