using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads the section <c>Etcd:Registration</c>, and over it that of the named cluster.</summary>
internal sealed class ConfigureRegistration(IConfiguration configuration, ClusterCatalog clusters) : IConfigureNamedOptions<EtcdRegistrationOptions>
{
    public void Configure(EtcdRegistrationOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, EtcdRegistrationOptions options)
    {
        if (clusters.Find(name) is { } cluster)
        {
            Read(configuration.GetSection(Sections.Registration), options);
            if (cluster != Cluster.Default)
            {
                Read(configuration.GetSection(Sections.RegistrationOf(cluster)), options);
            }
        }
    }

    private void Read(IConfigurationSection section, EtcdRegistrationOptions options)
    {
        Sections.Bind(section, typeof(EtcdRegistrationOptions), KnownSettings.Registration, () => section.Bind(options));
        Replace(options.AdvertisedUrls, Sections.ReadList(configuration, section, nameof(options.AdvertisedUrls)));
        Replace(options.PreferredNetworks, Sections.ReadList(configuration, section, nameof(options.PreferredNetworks)));
        options.Layouts = Sections.ReadLayouts(configuration, section) ?? options.Layouts;
        Replace(options.Tags, Sections.ReadList(configuration, section, nameof(options.Tags)));
        ReadLongNames(section.GetSection(nameof(options.Services)), options);
        FirstCasing.Restore(configuration, section.GetSection(nameof(options.Services)), options.Services);
        FirstCasing.Restore(configuration, section.GetSection(nameof(options.Metadata)), options.Metadata);
        foreach (var (name, endpoint) in options.Endpoints)
        {
            FirstCasing.Restore(
                configuration, section.GetSection(nameof(options.Endpoints)).GetSection(name).GetSection(nameof(endpoint.Metadata)), endpoint.Metadata);
        }

        foreach (var (name, service) in options.Services)
        {
            var ofService = section.GetSection(nameof(options.Services)).GetSection(name);
            Replace(service.Endpoints, Sections.ReadList(configuration, ofService, nameof(service.Endpoints)));
            service.Layouts = Sections.ReadLayouts(configuration, ofService) ?? service.Layouts;
            Replace(service.Tags, Sections.ReadList(configuration, ofService, nameof(service.Tags)));
            FirstCasing.Restore(configuration, ofService.GetSection(nameof(service.Metadata)), service.Metadata);
        }
    }

    /// <summary>A name with a colon was bound by its beginning, as a service without settings.</summary>
    private static void ReadLongNames(IConfigurationSection services, EtcdRegistrationOptions options)
    {
        foreach (var beginning in services.GetChildren())
        {
            var isName = true;
            foreach (var (name, section) in ServiceSections.FindLongNames(beginning.Key, beginning, KnownSettings.RegisteredService))
            {
                var service = new RegisteredServiceOptions();
                Sections.Bind(section, typeof(EtcdRegistrationOptions), KnownSettings.RegisteredService, () => section.Bind(service));
                options.Services[name] = service;
                isName = beginning.GetChildren().Any(c => KnownSettings.RegisteredService.Find(c.Key) is not null);
            }

            if (!isName)
            {
                options.Services.Remove(beginning.Key);
            }
        }
    }

    private static void Replace(IList<string> list, List<string>? with)
    {
        if (with is not null)
        {
            list.Clear();
            with.ForEach(list.Add);
        }
    }
}
