using System.Globalization;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>The sections of the configuration that this library reads.</summary>
internal static class Sections
{
    public const string Etcd = "Etcd";
    public const string Registration = "Etcd:Registration";
    public const string Discovery = "Etcd:Discovery";
    public const string Services = "Etcd:Discovery:Services";
    public const string Clients = "Etcd:Discovery:Clients";
    public const string Clusters = "Etcd:Clusters";
    public const string ConnectionString = "etcd";

    /// <summary>The section of the registration in a cluster.</summary>
    public static string RegistrationOf(Cluster cluster) => $"{cluster.Section}:Registration";

    /// <summary>
    /// A list as people write it: as an array, or as one text with commas, which is handier in an environment variable, and which replaces
    /// an array of another source as a whole. An empty text beside an array is nothing: command lines that hand sections on have them.
    /// </summary>
    /// <returns>The entries, or null when the setting is absent.</returns>
    public static List<string>? ReadList(IConfiguration section, string key)
    {
        var setting = section.GetSection(key);
        if (!setting.Exists())
        {
            return null;
        }

        var entries = string.IsNullOrEmpty(setting.Value) ? setting.GetChildren().Select(static c => c.Value ?? "") : [setting.Value];
        return [.. entries.SelectMany(SplitList)];
    }

    /// <summary>The entries of a list in one text.</summary>
    public static string[] SplitList(string text) => text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Binds, and says what would have been valid when a value cannot be read, or is written in a shape that the binder drops.</summary>
    /// <exception cref="OptionsValidationException">A setting has another shape.</exception>
    /// <exception cref="InvalidOperationException">A value cannot be read.</exception>
    public static void Bind(IConfigurationSection section, Type options, SettingShape shape, Action bind)
    {
        var problems = SettingShapeCheck.Find(section, shape).ToList();
        if (problems.Count > 0)
        {
            throw new OptionsValidationException(section.Path, options, problems);
        }

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
