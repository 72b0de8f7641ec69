using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads the section <c>Etcd</c>; without endpoints there, the connection string <c>etcd</c>.</summary>
internal sealed class ConfigureEtcdClient(IConfiguration configuration) : IConfigureOptions<EtcdClientOptions>
{
    public void Configure(EtcdClientOptions options)
    {
        var section = configuration.GetSection(Sections.Etcd);
        Sections.Bind(section, typeof(EtcdClientOptions), KnownSettings.Client, () => section.Bind(options));
        options.Endpoints = Sections.ReadList(section, nameof(options.Endpoints))
            ?? Sections.ReadList(configuration.GetSection("ConnectionStrings"), Sections.ConnectionString)
            ?? options.Endpoints;
    }
}
