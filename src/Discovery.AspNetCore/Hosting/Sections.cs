using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting;

/// <summary>The sections of the configuration that this library reads.</summary>
internal static class Sections
{
    public const string Etcd = "Etcd";
    public const string Registration = "Etcd:Registration";
    public const string Discovery = "Etcd:Discovery";
    public const string Services = "Etcd:Discovery:Services";
    public const string ConnectionString = "etcd";

    /// <summary>
    /// A list as people write it: as an array, or as one text with commas, which is handier in an environment variable.
    /// </summary>
    /// <returns>The entries, or null when the setting is absent.</returns>
    public static List<string>? ReadList(IConfiguration section, string key)
    {
        var setting = section.GetSection(key);
        if (!setting.Exists())
        {
            return null;
        }

        var entries = setting.Value is { } text ? [text] : setting.GetChildren().Select(static c => c.Value ?? "");
        return [.. entries.SelectMany(static e => e.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];
    }

    /// <summary>Binds, and says what would have been valid when a value cannot be read.</summary>
    public static void Bind(Action bind)
    {
        try
        {
            bind();
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidOperationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{e.Message} Valid is e.g. 00:00:10 for a time (10 alone would be days), 10 for a number, true or false for a switch."),
                e);
        }
    }
}
