using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Whether the application uses a cluster at all. One that does not use the default one, as its services are static or in named clusters, may leave
/// <c>Etcd:Endpoints</c> out, and so those of a named cluster in which its registration is switched off.
/// </summary>
internal sealed class EtcdUse(IServiceCollection services)
{
    /// <summary>The directory of this library, by the delegate that makes it, which tells it from the application's own.</summary>
    private static readonly Func<IServiceProvider, object> OwnDirectory = static s => s.GetRequiredService<DirectoryRouter>();

    /// <summary>Set by the application's own call of <c>AddEtcdClient</c>.</summary>
    public bool IsRequired { get; set; }

    /// <summary>The named clusters that the application added by its own calls of <c>AddKeyedEtcdClient</c>.</summary>
    public HashSet<string> RequiredClusters { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// The clusters that a health check asks. That alone is no use of a cluster that the application leaves alone, as in development; but a cluster
    /// that nothing else was ever added for is there to be checked.
    /// </summary>
    public HashSet<Cluster> CheckedClusters { get; } = [];

    /// <summary>Set by the application's own call of <c>AddEtcdDiscovery</c>.</summary>
    public bool HasDirectory { get; set; }

    /// <summary>What other packages of this library say: whether they look services up, as their settings have it.</summary>
    public List<Func<IServiceProvider, bool>> Lookups { get; } = [];

    public static EtcdUse Of(IServiceCollection services)
    {
        if (services.FirstOrDefault(static d => d.ServiceType == typeof(EtcdUse))?.ImplementationInstance is not EtcdUse use)
        {
            services.AddSingleton(use = new EtcdUse(services));
        }

        return use;
    }

    public static ServiceDescriptor DescribeOwnDirectory() => ServiceDescriptor.Singleton(typeof(IServiceDirectory), OwnDirectory);

    /// <summary>Whether anything that was added needs a cluster.</summary>
    public bool IsNeeded(IServiceProvider provider, Cluster cluster)
        => cluster.Name is { } name
            ? IsAdded(cluster) || Registers(provider, cluster) || WatchesIn(provider, cluster) || IsOnlyChecked(cluster, hasClients: false)
            : IsAdded(cluster) || Registers(provider, cluster) || Watches(provider)
                || IsOnlyChecked(cluster, HasDirectory || Lookups.Count > 0 || provider.GetService<ClientCatalog>()?.All.Any() == true);

    /// <summary>Whether the application asked for the client of a cluster itself.</summary>
    public bool IsAdded(Cluster cluster) => cluster.Name is { } name ? RequiredClusters.Contains(name) : IsRequired;

    /// <summary>Whether a registration in a cluster was added, even if it is switched off.</summary>
    public bool HasRegistration(Cluster cluster)
        => services.Any(d => d.ServiceType == typeof(IServiceRegistration) && Equals(d.ServiceKey, cluster.Name));

    private bool IsOnlyChecked(Cluster cluster, bool hasClients) => CheckedClusters.Contains(cluster) && !hasClients && !HasRegistration(cluster);

    private bool Registers(IServiceProvider provider, Cluster cluster)
    {
        if (!HasRegistration(cluster))
        {
            return false;
        }

        try
        {
            return provider.GetRequiredService<IOptionsMonitor<EtcdRegistrationOptions>>().Get(cluster.OptionsName).Enabled;
        }
        catch (OptionsValidationException)
        {
            // Reported by the registration itself; a complaint about etcd would hide it.
            return false;
        }
    }

    /// <summary>Whether the settings look any service up in a named cluster.</summary>
    private static bool WatchesIn(IServiceProvider provider, Cluster cluster)
    {
        var clusters = provider.GetRequiredService<ClusterCatalog>();
        var options = provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
        try
        {
            return NamedServices.Find(provider.GetRequiredService<IConfiguration>(), provider.GetRequiredService<ClientCatalog>())
                .Select(static s => s.OptionsName).Prepend(Options.DefaultName)
                .Any(name => options.Get(name) is { Instances.Count: 0 } named && clusters.Find(named.Cluster) == cluster);
        }
        catch (OptionsValidationException)
        {
            // Reported at the start too.
            return false;
        }
    }

    private bool Watches(IServiceProvider provider)
    {
        var directory = services.LastOrDefault(static d => d.ServiceType == typeof(IServiceDirectory) && !d.IsKeyedService);
        if (directory?.ImplementationFactory != OwnDirectory)
        {
            return false;
        }

        if (ClusterCatalog.Of(services).Named.Count == 0 && Lookups.Exists(lookup => lookup(provider)))
        {
            return true;
        }

        var clients = provider.GetRequiredService<ClientCatalog>();
        var options = provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
        try
        {
            return clients.All.Any()
                ? clients.All.Any(c => options.Get(c.OptionsName) is { Instances.Count: 0, Cluster: null or "" })
                : HasDirectory && ClusterCatalog.Of(services).Named.Count == 0;
        }
        catch (OptionsValidationException)
        {
            // Reported when the client's pool is made, at start too; a complaint about etcd would hide it.
            return false;
        }
    }
}
