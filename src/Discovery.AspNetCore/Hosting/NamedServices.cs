using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting;

/// <summary>The services that the settings or the clients of the application name.</summary>
internal static class NamedServices
{
    /// <summary>Each with the name of its options; a service may be there several times.</summary>
    public static IEnumerable<(string ServiceName, string OptionsName)> Find(IConfiguration configuration, ClientCatalog clients)
    {
        foreach (var section in configuration.GetSection(Sections.Services).GetChildren())
        {
            yield return (section.Key, section.Key);
            foreach (var (name, _) in ServiceSections.FindLongNames(section.Key, section, KnownSettings.DiscoveredService))
            {
                yield return (name, name);
            }
        }

        foreach (var client in clients.All)
        {
            yield return (client.ServiceName, client.OptionsName);
        }
    }
}
