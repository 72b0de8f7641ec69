using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Names in a configuration have no case, and those that an application chooses get it from the last source: an environment variable
/// in capitals would rename a service that appsettings.json has. Here the first source that has a name decides.
/// </summary>
internal static class FirstCasing
{
    /// <summary>Gives entries the names that a section has for them, or what is bound from it would be others beside them.</summary>
    public static void Follow<T>(IConfigurationSection section, IDictionary<string, T> entries)
    {
        foreach (var child in section.GetChildren())
        {
            Rename(entries, Find(entries, child.Key), child.Key);
        }
    }

    /// <summary>Gives the entries that were bound from sections their names as the first source of the first section has them.</summary>
    /// <param name="configuration">What the sections are of.</param>
    /// <param name="sections">The sections, in the order in which they were bound.</param>
    /// <param name="bound">The entries.</param>
    public static void Restore<T>(IConfiguration configuration, IEnumerable<IConfigurationSection> sections, IDictionary<string, T> bound)
    {
        foreach (var name in bound.Keys.ToList())
        {
            Rename(bound, name, FindFirst(configuration, sections, name) ?? name);
        }
    }

    /// <summary>A name as the first source of the first section that has it writes it; null if none has.</summary>
    public static string? FindFirst(IConfiguration configuration, IEnumerable<IConfigurationSection> sections, string name)
        => sections.Select(s => FindFirst(configuration, s, name)).FirstOrDefault(static n => n is not null);

    /// <summary>The name that an entry has, in whatever case.</summary>
    public static string? Find<T>(IDictionary<string, T> entries, string name)
        => entries.ContainsKey(name) ? name : entries.Keys.FirstOrDefault(k => k.Equals(name, StringComparison.OrdinalIgnoreCase));

    public static void Rename<T>(IDictionary<string, T> entries, string? name, string to)
    {
        if (name is not null && name != to && entries.Remove(name, out var value))
        {
            entries[to] = value;
        }
    }

    /// <summary>The name as the first source has it. One with colons is that of a section in a section.</summary>
    private static string? FindFirst(IConfiguration configuration, IConfigurationSection section, string name)
    {
        List<string> found = [];
        foreach (var part in name.Split(ConfigurationPath.KeyDelimiter))
        {
            if (SettingList.Sources(configuration).SelectMany(p => p.GetChildKeys([], section.Path)).Concat(section.GetChildren().Select(static c => c.Key))
                .FirstOrDefault(k => k.Equals(part, StringComparison.OrdinalIgnoreCase)) is not { } first)
            {
                return null;
            }

            found.Add(first);
            section = section.GetSection(part);
        }

        return string.Join(ConfigurationPath.KeyDelimiter, found);
    }
}
