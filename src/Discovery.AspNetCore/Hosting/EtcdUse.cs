using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Whether the application uses the default cluster at all. One that does not, as its services are static or in named clusters, may leave
/// <c>Etcd:Endpoints</c> out.
/// </summary>
internal sealed class EtcdUse(IServiceCollection services)
{
    /// <summary>The directory of this library, by the delegate that makes it, which tells it from the application's own.</summary>
    private static readonly Func<IServiceProvider, object> OwnDirectory = static s => s.GetRequiredService<DirectoryRouter>();

    /// <summary>Set by the application's own call of <c>AddEtcdClient</c>.</summary>
    public bool IsRequired { get; set; }

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

    /// <summary>Whether anything that was added needs the default cluster.</summary>
    public bool IsNeeded(IServiceProvider provider)
        => IsRequired || Registers(provider) || Watches(provider);

    private bool Registers(IServiceProvider provider)
    {
        if (services.All(static d => d.ServiceType != typeof(IServiceRegistration) || d.IsKeyedService))
        {
            return false;
        }

        try
        {
            return provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value.Enabled;
        }
        catch (OptionsValidationException)
        {
            // Reported by the registration itself; a complaint about etcd would hide it.
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
