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
    private const string Layout = "Layout";
    private const string Layouts = "Layouts";

    /// <summary>The section of the registration in a cluster.</summary>
    public static string RegistrationOf(Cluster cluster) => $"{cluster.Section}:Registration";

    /// <summary>A list: the entries of an array, or of one text with commas, whichever comes later (<see cref="SettingList"/>).</summary>
    /// <param name="configuration">What the section is of.</param>
    /// <param name="section">The section of the setting.</param>
    /// <param name="key">The name of the setting.</param>
    /// <returns>The entries, or null when the setting is absent.</returns>
    public static List<string>? ReadList(IConfiguration configuration, IConfigurationSection section, string key)
        => ReadEntries(configuration, section, key)?.SelectMany(SplitList).ToList();

    /// <summary>As <see cref="ReadList"/>, but each text as it stands.</summary>
    public static List<string>? ReadEntries(IConfiguration configuration, IConfigurationSection section, string key)
        => SettingList.Read(configuration, section.GetSection(key));

    /// <summary>The setting <c>Layouts</c>, or what a later source has as the text <c>Layout</c>, which is the same setting.</summary>
    /// <returns>The entries, or null when <c>Layouts</c> is absent.</returns>
    public static List<string>? ReadLayouts(IConfiguration configuration, IConfigurationSection section)
    {
        var list = ReadList(configuration, section, Layouts);
        return list is not null && IsLayoutLater(configuration, section) ? [.. SplitList(section[Layout]!)] : list;
    }

    /// <summary>The path of the setting that says the layouts of a section: that of <c>Layouts</c> where it counts, else that of <c>Layout</c>.</summary>
    public static string PathOfLayout(IConfiguration? configuration, string path)
        => configuration?.GetSection(path) is { } section && section.GetSection(Layouts).Exists() && !IsLayoutLater(configuration, section)
            ? $"{path}:{Layouts}"
            : $"{path}:{Layout}";

    private static bool IsLayoutLater(IConfiguration configuration, IConfigurationSection section)
    {
        return LastSource(Layout) > LastSource(Layouts);

        int LastSource(string key)
        {
            var path = section.GetSection(key).Path;
            return SettingList.Sources(configuration).ToList().FindLastIndex(source => SettingList.HasEntries(source, path));
        }
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
            var unreadable = string.Join(' ', SettingShapeCheck.FindUnreadable(section, shape));
            throw new InvalidOperationException(unreadable.Length > 0 ? unreadable : e.Message, e);
        }
    }
}
