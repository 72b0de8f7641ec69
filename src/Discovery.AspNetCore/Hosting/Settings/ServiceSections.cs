using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Sections whose names are those of services. Service names are case-sensitive and may have colons; in a configuration neither is so.
/// </summary>
internal static class ServiceSections
{
    /// <summary>
    /// Whether a section that is found by a service's name is meant for it: not if no source writes it just so, and one writes the name
    /// of another service that differs by case alone.
    /// </summary>
    public static bool IsFor(IConfiguration configuration, IConfigurationSection services, string name, IEnumerable<string> others)
    {
        if (configuration is not IConfigurationRoot root)
        {
            return true;
        }

        var written = root.Providers.SelectMany(p => p.GetChildKeys([], services.Path))
            .Where(k => k.Equals(name, StringComparison.OrdinalIgnoreCase))
            .ToHashSet(StringComparer.Ordinal);
        return written.Contains(name) || !others.Any(written.Contains);
    }

    /// <summary>
    /// Whether a child of a service's section is no setting but the rest of a name with a colon: settings of a service stand under it.
    /// </summary>
    public static bool IsRestOfName(IConfigurationSection child, SettingShape service)
        => service.Find(child.Key) is null && child.GetChildren().Any(g => service.Find(g.Key) is not null || IsRestOfName(g, service));

    /// <summary>The services whose names have a colon, below the section that has the beginning of the name.</summary>
    public static IEnumerable<(string Name, IConfigurationSection Section)> FindLongNames(string beginning, IConfigurationSection section, SettingShape service)
    {
        foreach (var child in section.GetChildren().Where(c => IsRestOfName(c, service)))
        {
            var name = $"{beginning}:{child.Key}";
            if (child.GetChildren().Any(g => service.Find(g.Key) is not null))
            {
                yield return (name, child);
            }

            foreach (var longer in FindLongNames(name, child, service))
            {
                yield return longer;
            }
        }
    }
}
