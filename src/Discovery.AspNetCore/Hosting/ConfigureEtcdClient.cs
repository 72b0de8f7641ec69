using Discovery.AspNetCore.Clusters;
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

        EtcdClientSection.Read(configuration, cluster.Section, cluster.Name ?? Sections.ConnectionString, options);
    }
}
