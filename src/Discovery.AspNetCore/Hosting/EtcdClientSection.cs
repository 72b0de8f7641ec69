using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads a section <c>Etcd</c>, as far as the client goes by it.</summary>
internal static class EtcdClientSection
{
    /// <summary>The settings that the client has, and the sections that others read.</summary>
    public static SettingShape Shape { get; } = SettingShape.Section<EtcdClientOptions>(
        (nameof(EtcdClientOptions.Tls), SettingShape.Section<EtcdTlsOptions>()),
        ("Registration", SettingShape.Any),
        ("Discovery", SettingShape.Any),
        ("Clusters", SettingShape.Any));

    /// <summary>Reads the settings.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="path">The section's path.</param>
    /// <param name="connectionString">The name of the connection string that counts where the section has no endpoints.</param>
    /// <param name="options">Where they go.</param>
    public static void Read(IConfiguration configuration, string path, string connectionString, EtcdClientOptions options)
    {
        var section = configuration.GetSection(path);
        Sections.Bind(section, typeof(EtcdClientOptions), Shape, () => section.Bind(options));
        var endpoints = Sections.ReadList(configuration, section, nameof(options.Endpoints));
        if (endpoints is not null)
        {
            options.Endpoints = endpoints;
        }

        if (endpoints is not { Count: > 0 } && EtcdConnectionString.Read(configuration, connectionString) is { } connection)
        {
            Apply(connection, options);
        }
    }

    // What the section says wins. The password of the connection string goes with its own user alone.
    private static void Apply(EtcdConnectionString connection, EtcdClientOptions options)
    {
        options.Endpoints = connection.Endpoints;
        if (string.IsNullOrEmpty(options.Username))
        {
            options.Username = connection.Username;
            if (string.IsNullOrEmpty(options.Password))
            {
                options.Password = connection.Password;
            }
        }
    }
}
