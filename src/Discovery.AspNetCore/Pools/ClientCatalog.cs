using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Pools;

/// <summary>The clients that the application registered, by name. Filled while services are added, read afterwards.</summary>
internal sealed class ClientCatalog
{
    /// <summary>The key of the catalog as it is filled; without a key it has the names that the settings say.</summary>
    private const string Registrations = nameof(ClientCatalog);

    private readonly Dictionary<string, RegisteredClient> _byName = new(StringComparer.Ordinal);

    public IEnumerable<RegisteredClient> All => _byName.Values;

    /// <summary>Adds an empty catalog.</summary>
    /// <param name="services">The services.</param>
    /// <param name="complete">Gives the clients the names of services that the settings say, before the catalog is read.</param>
    public static void Add(IServiceCollection services, Action<ClientCatalog, IServiceProvider> complete)
    {
        services.AddKeyedSingleton(Registrations, new ClientCatalog());
        services.AddSingleton(provider =>
        {
            var catalog = provider.GetRequiredKeyedService<ClientCatalog>(Registrations);
            complete(catalog, provider);
            return catalog;
        });
    }

    /// <summary>Whether the services have a catalog.</summary>
    public static bool IsIn(IServiceCollection services) => services.Any(static d => d.ServiceType == typeof(ClientCatalog));

    public static ClientCatalog Of(IServiceCollection services)
        => services.FirstOrDefault(static d => d.ServiceType == typeof(ClientCatalog) && d.IsKeyedService)?.KeyedImplementationInstance as ClientCatalog
            ?? throw new InvalidOperationException("Discovery is not added to these services; call AddEtcdDiscovery first.");

    /// <summary>Finds a client, or adds it.</summary>
    /// <param name="clientName">The client's name.</param>
    /// <param name="serviceName">The service that it calls.</param>
    /// <param name="isDefault">Whether the settings may name another service, as code has named none.</param>
    /// <exception cref="InvalidOperationException">The client is bound to another service already.</exception>
    public RegisteredClient GetOrAdd(string clientName, string serviceName, bool isDefault)
    {
        if (!_byName.TryGetValue(clientName, out var client))
        {
            _byName[clientName] = client = new RegisteredClient(clientName, serviceName, isDefault);
        }
        else if (client.RegisteredServiceName != serviceName)
        {
            throw new InvalidOperationException(
                $"The client '{clientName}' discovers service '{client.RegisteredServiceName}' already and cannot discover '{serviceName}' too.");
        }

        return client;
    }

    public RegisteredClient? Find(string clientName) => _byName.GetValueOrDefault(clientName);

    /// <summary>The service that options of this name are for: those of a customised client, or of the service itself.</summary>
    public string ServiceOf(string optionsName)
        => _byName.Values.FirstOrDefault(c => c.OptionsName == optionsName)?.ServiceName ?? optionsName;
}
