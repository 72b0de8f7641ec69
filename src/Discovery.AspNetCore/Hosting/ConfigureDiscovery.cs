using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads <c>Etcd:Discovery</c>, and over it what stands for the one service.</summary>
internal sealed class ConfigureDiscovery(IConfiguration configuration, ClientCatalog clients) : IConfigureNamedOptions<EtcdDiscoveryOptions>
{
    public void Configure(EtcdDiscoveryOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, EtcdDiscoveryOptions options)
    {
        Read(configuration.GetSection(Sections.Discovery), KnownSettings.DiscoverySection, options);
        if (!string.IsNullOrEmpty(name))
        {
            var service = clients.ServiceOf(name);
            var services = configuration.GetSection(Sections.Services);
            if (ServiceSections.IsFor(configuration, services, service, clients.All.Select(static c => c.ServiceName)))
            {
                Read(services.GetSection(service), KnownSettings.DiscoveredService, options);
            }
        }
    }

    private static void Read(IConfigurationSection section, SettingShape shape, EtcdDiscoveryOptions options)
    {
        Sections.Bind(section, typeof(EtcdDiscoveryOptions), shape, () => section.Bind(options));

        // A list for one service stands in place of the general one; the binder would add to it.
        options.AllowedNetworks = Sections.ReadList(section, nameof(options.AllowedNetworks)) ?? options.AllowedNetworks;
        options.Layouts = Sections.ReadList(section, nameof(options.Layouts)) ?? options.Layouts;
        options.Instances = Sections.ReadList(section, nameof(options.Instances)) ?? options.Instances;
        options.Select.Tags = Sections.ReadList(section.GetSection(nameof(options.Select)), nameof(options.Select.Tags)) ?? options.Select.Tags;
        options.AllowedPorts = Sections.ReadList(section, nameof(options.AllowedPorts)) ?? options.AllowedPorts;
    }
}
