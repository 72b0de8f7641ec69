using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads <c>Etcd:Discovery</c>, and over it what stands for the one service.</summary>
internal sealed class ConfigureDiscovery(IConfiguration configuration, ClientCatalog clients) : IConfigureNamedOptions<EtcdDiscoveryOptions>
{
    /// <summary>What all services have in common: an application may have thousands, and to read it for each takes longer than to list them.</summary>
    private volatile GeneralSettings? _general;

    public void Configure(EtcdDiscoveryOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, EtcdDiscoveryOptions options)
    {
        var general = GetGeneral();
        options.CopyFrom(general.Options);
        if (!string.IsNullOrEmpty(name))
        {
            var service = clients.ServiceOf(name);
            if (!general.HasSectionFor(service))
            {
                return;
            }

            var services = configuration.GetSection(Sections.Services);
            if (ServiceSections.IsFor(configuration, services, service, clients.All.Select(static c => c.ServiceName)))
            {
                Read(services.GetSection(service), KnownSettings.DiscoveredService, options);
            }
        }
    }

    private GeneralSettings GetGeneral()
    {
        if (_general is { Changes.HasChanged: false } known)
        {
            return known;
        }

        // Taken before the settings are read, so that a change in between has them read again.
        var changes = configuration.GetReloadToken();
        var options = new EtcdDiscoveryOptions();
        Read(configuration.GetSection(Sections.Discovery), KnownSettings.DiscoverySection, options);
        var services = configuration.GetSection(Sections.Services).GetChildren().Select(static c => c.Key).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return _general = new GeneralSettings(changes, options, services);
    }

    private void Read(IConfigurationSection section, SettingShape shape, EtcdDiscoveryOptions options)
    {
        Sections.Bind(section, typeof(EtcdDiscoveryOptions), shape, () => section.Bind(options));

        // A list for one service stands in place of the general one; the binder would add to it.
        options.AllowedNetworks = ReadAllowed(section, nameof(options.AllowedNetworks), "0.0.0.0/0, ::/0") ?? options.AllowedNetworks;
        options.Layouts = Sections.ReadLayouts(configuration, section) ?? options.Layouts;
        options.Instances = Sections.ReadList(configuration, section, nameof(options.Instances)) ?? options.Instances;
        options.Select.Tags = Sections.ReadList(configuration, section.GetSection(nameof(options.Select)), nameof(options.Select.Tags)) ?? options.Select.Tags;
        options.AllowedPorts = ReadAllowed(section, nameof(options.AllowedPorts), "1-65535") ?? options.AllowedPorts;
    }

    /// <summary>Reads a list that keeps calls from where they must not go, and allows everything where it is empty.</summary>
    /// <param name="section">The section it is in.</param>
    /// <param name="key">Its name.</param>
    /// <param name="everything">What allows everything.</param>
    /// <exception cref="OptionsValidationException">Nothing is left of the entries of an earlier source, as by a variable that was never set.</exception>
    private List<string>? ReadAllowed(IConfigurationSection section, string key, string everything)
    {
        var list = Sections.ReadList(configuration, section, key);
        return list is { Count: 0 } && SettingList.HasEntries(configuration, section.GetSection(key).Path)
            ? throw new OptionsValidationException(
                section.Path,
                typeof(EtcdDiscoveryOptions),
                [
                    $"{section.Path}:{key} is '' in a later source than the one that has entries. An empty variable of the environment must not "
                    + $"allow everything: remove it, or set {everything} to do so.",
                ])
            : list;
    }

    private sealed record GeneralSettings(IChangeToken Changes, EtcdDiscoveryOptions Options, HashSet<string> Services)
    {
        /// <summary>Whether there may be settings of one service. Names with a colon stand in the section that has the beginning of the name.</summary>
        public bool HasSectionFor(string service)
            => Services.Contains(service.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon ? service[..colon] : service);
    }
}
