using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Names in a configuration have no case, and those that an application chooses get it from the last source: an environment variable
/// in capitals would rename a service that appsettings.json has. Here the first source that has a name decides.
/// </summary>
internal static class FirstCasing
{
    /// <summary>Gives the entries that were bound from a section their names as the first source has them.</summary>
    public static void Restore<T>(IConfiguration configuration, IConfigurationSection section, IDictionary<string, T> bound)
    {
        if (configuration is not IConfigurationRoot root || bound.Count == 0)
        {
            return;
        }

        foreach (var child in section.GetChildren())
        {
            var first = root.Providers.SelectMany(p => p.GetChildKeys([], section.Path))
                .FirstOrDefault(k => k.Equals(child.Key, StringComparison.OrdinalIgnoreCase));
            if (first is not null && first != child.Key && bound.Remove(child.Key, out var value))
            {
                bound[first] = value;
            }
        }
    }
}
