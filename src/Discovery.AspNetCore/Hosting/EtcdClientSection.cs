using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads a section <c>Etcd</c>, as far as the client goes by it.</summary>
internal static class EtcdClientSection
{
    private static readonly SettingShape Shape = SettingShape.Section<EtcdClientOptions>(
        (nameof(EtcdClientOptions.Tls), SettingShape.Section<EtcdTlsOptions>()),
        ("Registration", SettingShape.Any),
        ("Discovery", SettingShape.Any),
        ("Clusters", SettingShape.Any));

    /// <summary>Reads the settings.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="path">The section's path.</param>
    /// <param name="connectionString">The connection string that has the endpoints where the section has none.</param>
    /// <param name="options">Where they go.</param>
    public static void Read(IConfiguration configuration, string path, string connectionString, EtcdClientOptions options)
    {
        var section = configuration.GetSection(path);
        Sections.Bind(section, typeof(EtcdClientOptions), Shape, () => section.Bind(options));
        options.Endpoints = Sections.ReadList(section, nameof(options.Endpoints))
            ?? Sections.ReadList(configuration.GetSection("ConnectionStrings"), connectionString)
            ?? options.Endpoints;
    }
}
