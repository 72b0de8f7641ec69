using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Reads the section <c>Etcd</c>; without endpoints there, the connection string <c>etcd</c>. For a named cluster its own section, and the
/// connection string of its name.
/// </summary>
internal sealed class ConfigureEtcdClient(IConfiguration configuration, ClusterCatalog clusters) : IConfigureNamedOptions<EtcdClientOptions>
{
    public void Configure(EtcdClientOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, EtcdClientOptions options)
    {
        if (clusters.Find(name) is not { } cluster)
        {
            // The application's own options, of a client that it makes itself.
            return;
        }

        var section = configuration.GetSection(cluster.Section);
        Sections.Bind(section, typeof(EtcdClientOptions), KnownSettings.Client, () => section.Bind(options));
        if (Sections.ReadList(section, nameof(options.Endpoints)) is { } endpoints)
        {
            options.Endpoints = endpoints;
        }
        else if (EtcdConnectionString.Read(configuration, cluster.Name ?? Sections.ConnectionString) is { } connection)
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
