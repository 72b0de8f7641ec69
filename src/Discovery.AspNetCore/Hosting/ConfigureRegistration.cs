using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads the section <c>Etcd:Registration</c>, and over it that of the named cluster.</summary>
internal sealed class ConfigureRegistration(IConfiguration configuration, ClusterCatalog clusters)
    : IConfigureNamedOptions<EtcdRegistrationOptions>, IPostConfigureOptions<EtcdRegistrationOptions>
{
    private const string Services = nameof(EtcdRegistrationOptions.Services);

    public void Configure(EtcdRegistrationOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, EtcdRegistrationOptions options)
    {
        List<IConfigurationSection> read = [];
        foreach (var section in SectionsOf(name))
        {
            read.Add(section);
            Read(read, options);
        }

        // Code that runs after this finds the settings under the name that it knows.
        FollowServiceName(name, options);
    }

    /// <summary>Code may have set the service's name, or replaced its settings.</summary>
    public void PostConfigure(string? name, EtcdRegistrationOptions options) => FollowServiceName(name, options);

    /// <summary>
    /// Settings of the service that <see cref="EtcdRegistrationOptions.ServiceName"/> names are its own in whatever case they are written: a text
    /// has its case from whoever wrote it, the name of a setting in the environment has not.
    /// </summary>
    private void FollowServiceName(string? name, EtcdRegistrationOptions options)
    {
        if (string.IsNullOrEmpty(options.ServiceName)
            || FirstCasing.FindFirst(configuration, SectionsOf(name).Select(static s => s.GetSection(Services)), options.ServiceName) is not { } written)
        {
            return;
        }

        if (!options.Services.ContainsKey(options.ServiceName))
        {
            FirstCasing.Rename(options.Services, FirstCasing.Find(options.Services, options.ServiceName), options.ServiceName);
        }
        else if (written != options.ServiceName)
        {
            // Code has replaced what the settings say.
            options.Services.Remove(written);
        }
    }

    private IEnumerable<IConfigurationSection> SectionsOf(string? name)
    {
        if (clusters.Find(name) is { } cluster)
        {
            yield return configuration.GetSection(Sections.Registration);
            if (cluster != Cluster.Default)
            {
                yield return configuration.GetSection(Sections.RegistrationOf(cluster));
            }
        }
    }

    /// <summary>Reads the last of these sections, over what was read of those before it.</summary>
    private void Read(IReadOnlyList<IConfigurationSection> sections, EtcdRegistrationOptions options)
    {
        var section = sections[^1];
        var known = options.Services.Keys.ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var (path, metadata) in MetadataOf(options))
        {
            FirstCasing.Follow(section.GetSection(path), metadata);
        }

        FirstCasing.Follow(section.GetSection(Services), options.Services);
        Sections.Bind(section, typeof(EtcdRegistrationOptions), KnownSettings.Registration, () => section.Bind(options));
        Replace(options.AdvertisedUrls, Sections.ReadList(configuration, section, nameof(options.AdvertisedUrls)));
        Replace(options.PreferredNetworks, Sections.ReadList(configuration, section, nameof(options.PreferredNetworks)));
        options.Layouts = Sections.ReadLayouts(configuration, section) ?? options.Layouts;
        Replace(options.Tags, Sections.ReadList(configuration, section, nameof(options.Tags)));
        ReadLongNames(section.GetSection(Services), options, known);
        foreach (var (name, service) in options.Services)
        {
            var ofService = section.GetSection(Services).GetSection(name);
            Replace(service.Endpoints, Sections.ReadList(configuration, ofService, nameof(service.Endpoints)));
            service.Layouts = Sections.ReadLayouts(configuration, ofService) ?? service.Layouts;
            Replace(service.Tags, Sections.ReadList(configuration, ofService, nameof(service.Tags)));
        }

        FirstCasing.Restore(configuration, sections.Select(static s => s.GetSection(Services)), options.Services);
        foreach (var (path, metadata) in MetadataOf(options))
        {
            FirstCasing.Restore(configuration, sections.Select(s => s.GetSection(path)), metadata);
        }
    }

    /// <summary>All metadata, with where it stands below the registration's section.</summary>
    private static IEnumerable<(string Path, IDictionary<string, string> Metadata)> MetadataOf(EtcdRegistrationOptions options)
        => options.Endpoints.Select(static e => ($"{nameof(options.Endpoints)}:{e.Key}:{nameof(options.Metadata)}", e.Value.Metadata))
            .Concat(options.Services.Select(static s => ($"{Services}:{s.Key}:{nameof(options.Metadata)}", s.Value.Metadata)))
            .Prepend((nameof(options.Metadata), options.Metadata));

    /// <summary>A name with a colon was bound by its beginning, as a service without settings.</summary>
    /// <param name="services">The section.</param>
    /// <param name="options">What it is read into.</param>
    /// <param name="known">The services that were there before, whose names have no case here.</param>
    private static void ReadLongNames(IConfigurationSection services, EtcdRegistrationOptions options, HashSet<string> known)
    {
        foreach (var beginning in services.GetChildren())
        {
            var isName = true;
            foreach (var (name, section) in ServiceSections.FindLongNames(beginning.Key, beginning, KnownSettings.RegisteredService))
            {
                var existing = FirstCasing.Find(options.Services, name);
                var service = existing is null ? options.Services[name] = new RegisteredServiceOptions() : options.Services[existing];
                Sections.Bind(section, typeof(EtcdRegistrationOptions), KnownSettings.RegisteredService, () => section.Bind(service));
                isName = known.Contains(beginning.Key) || beginning.GetChildren().Any(c => KnownSettings.RegisteredService.Find(c.Key) is not null);
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
