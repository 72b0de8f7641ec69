using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// A list as people write it: as an array, or as one text, which is handier in an environment variable. As with any setting the later source wins: a
/// text replaces the array of an earlier source as a whole, also an empty text, <c>[]</c> and <c>null</c>, and an array such a text. An empty text
/// beside an array of the same source is nothing: command lines that hand sections on have them.
/// </summary>
internal static class SettingList
{
    /// <summary>Reads each text as it stands.</summary>
    /// <param name="configuration">What the setting is of: its sources tell which form came later. Within one source a text wins.</param>
    /// <param name="setting">The setting.</param>
    /// <returns>The entries, or null when the setting is absent.</returns>
    public static List<string>? Read(IConfiguration configuration, IConfigurationSection setting)
    {
        if (!setting.Exists())
        {
            return null;
        }

        var sources = Sources(configuration).ToList();
        var text = sources.FindLastIndex(p => p.TryGet(setting.Path, out _));
        var array = setting.GetChildren();
        if (string.IsNullOrEmpty(setting.Value))
        {
            return [.. (text < 0 ? array : array.Where(KeysFrom(text))).Select(static c => c.Value ?? "")];
        }

        var later = text < 0 ? [] : array.Where(KeysFrom(text + 1));
        return [.. later.Select(static c => c.Value).OfType<string>().Where(static v => v.Length > 0).DefaultIfEmpty(setting.Value)];

        Func<IConfigurationSection, bool> KeysFrom(int first)
        {
            var keys = sources.Skip(first).SelectMany(p => p.GetChildKeys([], setting.Path)).ToHashSet(StringComparer.OrdinalIgnoreCase);
            return entry => keys.Contains(entry.Key);
        }
    }

    /// <summary>Whether what stands below a list is an entry of it, and no setting with a name, nor one with settings of its own.</summary>
    public static bool IsEntry(IConfigurationSection child) => IsIndex(child.Key) && !child.GetChildren().Any();

    /// <summary>Whether a key is that of an entry of an array: 0, 1 and so on.</summary>
    public static bool IsIndex(string key) => int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    /// <summary>Whether any source, also one that others overrule, has entries of a list.</summary>
    public static bool HasEntries(IConfiguration configuration, string path)
        => Sources(configuration).Any(source => HasEntries(source, path));

    /// <summary>Whether a source has entries of a list.</summary>
    public static bool HasEntries(IConfigurationProvider source, string path)
        => (source.TryGet(path, out var text) && !string.IsNullOrEmpty(text)) || source.GetChildKeys([], path).Any();

    /// <summary>The sources, earliest first; none where the configuration is a section of another, which does not tell.</summary>
    public static IEnumerable<IConfigurationProvider> Sources(IConfiguration configuration)
        => (configuration as IConfigurationRoot)?.Providers.SelectMany(static p => p is ChainedConfigurationProvider { Configuration: IConfigurationRoot chained }
            ? Sources(chained)
            : [p]) ?? [];
}
