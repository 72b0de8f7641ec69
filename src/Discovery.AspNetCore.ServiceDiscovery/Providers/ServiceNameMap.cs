using System.Net;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.ServiceDiscovery.Providers;

/// <summary>Finds the service's name in etcd for the host of a URI, which lost its case.</summary>
internal sealed class ServiceNameMap(IConfiguration configuration, ClientCatalog clients, IOptions<EtcdServiceEndpointProviderOptions> options)
{
    /// <summary>The name, or null where etcd is not to be asked.</summary>
    public string? Find(string host)
    {
        if (IsAddress(host))
        {
            return null;
        }

        foreach (var (from, to) in options.Value.ServiceNames)
        {
            if (from.Equals(host, StringComparison.OrdinalIgnoreCase))
            {
                return to;
            }
        }

        return FindListed(host) ?? (options.Value.OnlyListedServices || ServiceNames.GetProblem(host) is not null ? null : host);
    }

    private static bool IsAddress(string host)
        => host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
            || IPAddress.TryParse(host.Trim('[', ']'), out _);

    /// <summary>A name that code or settings have: the same, or else the one that differs by case alone.</summary>
    private string? FindListed(string host)
    {
        var listed = configuration.GetSection(Sections.Services).GetChildren().Select(static c => c.Key)
            .Concat(clients.All.Select(static c => c.ServiceName))
            .Where(n => n.Equals(host, StringComparison.OrdinalIgnoreCase))
            .ToList();
        return listed.Contains(host, StringComparer.Ordinal) ? host : listed.Order(StringComparer.Ordinal).FirstOrDefault();
    }
}
