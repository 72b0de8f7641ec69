using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>Finds settings that nothing reads, which are mistyped as a rule.</summary>
internal static class UnknownNames
{
    /// <summary>The unknown ones in a section and below it.</summary>
    public static IEnumerable<UnknownName> Find(IConfigurationSection section, SettingShape shape)
    {
        foreach (var child in section.GetChildren())
        {
            if (shape.Find(child.Key) is { } known)
            {
                foreach (var unknown in known.Kind is SettingKind.Section or SettingKind.Named ? Find(child, known) : [])
                {
                    yield return unknown;
                }
            }
            else if ((shape == KnownSettings.RegisteredService || shape == KnownSettings.DiscoveredService) && ServiceSections.IsRestOfName(child, shape))
            {
                foreach (var unknown in Find(child, shape))
                {
                    yield return unknown;
                }
            }
            else if (shape.Kind == SettingKind.Section)
            {
                yield return new UnknownName(child.Path, FindSimilar(child, shape), shape);
            }
        }
    }

    private static string? FindSimilar(IConfigurationSection setting, SettingShape shape)
    {
        // Who writes a value does not mean a section.
        var names = shape.Children
            .Where(c => string.IsNullOrEmpty(setting.Value) || c.Value.Kind is not (SettingKind.Section or SettingKind.Named or SettingKind.Any))
            .Select(static c => c.Key)
            .ToList();
        return SimilarName.Find(setting.Key, names) ?? FindBelow(setting.Key, shape) ?? SimilarName.FindLonger(setting.Key, names);
    }

    /// <summary>The one section of those below that has a setting of this name: it was left out of the path.</summary>
    private static string? FindBelow(string name, SettingShape shape)
    {
        // A name that almost anything may have: which of the sections is meant cannot be told.
        if (name.Equals("Enabled", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var sections = shape.Children.Where(c => c.Value.Children.ContainsKey(name)).Take(2).ToList();
        return sections.Count == 1 ? $"{sections[0].Key}:{sections[0].Value.Children.Keys.First(k => k.Equals(name, StringComparison.OrdinalIgnoreCase))}" : null;
    }
}

/// <summary>A setting that nothing reads.</summary>
/// <param name="Path">Where it stands.</param>
/// <param name="Similar">What it was most likely meant to be, from the same section; null when nothing is near.</param>
/// <param name="Section">The section that it stands in.</param>
internal sealed record UnknownName(string Path, string? Similar, SettingShape Section)
{
    public string Hint => Similar is null ? $"There are: {string.Join(", ", Section.Children.Keys.Order(StringComparer.Ordinal))}." : $"Did you mean '{Similar}'?";
}
